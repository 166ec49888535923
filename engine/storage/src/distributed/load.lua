-- Rows by their keys, and which commits they and the store are of.
-- KEYS: head, rows. ARGV: keys of rows.
local head = redis.call('HMGET', KEYS[1], 'at', 'commit', 'folding', 'undoing', 'staged')
local found = {head[1] or '', head[2] or '', (head[3] or head[4]) and '1' or '', head[5] and '1' or ''}
for i, key in ipairs(ARGV) do
    found[i + 4] = redis.call('HGET', KEYS[2], key)
end
return found
