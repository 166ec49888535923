-- Rows by their keys, and which commit they are of.
-- KEYS: head, rows. ARGV: keys of rows.
local head = redis.call('HMGET', KEYS[1], 'commit', 'staged')
local found = {(head[1] or '') .. (head[2] and ' folding' or '')}
for i, key in ipairs(ARGV) do
    found[i + 1] = redis.call('HGET', KEYS[2], key)
end
return found
