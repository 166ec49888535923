-- Some rows of a table in key order, and which commits they and the store are of.
-- KEYS: head, rows, order of keys. ARGV: lowest and highest key as ZRANGEBYLEX takes them, how many at the most.
local keys = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local head = redis.call('HMGET', KEYS[1], 'at', 'commit', 'folding', 'undoing', 'staged')
local page = {head[1] or '', head[2] or '', (head[3] or head[4]) and '1' or '', head[5] and '1' or ''}
for i, key in ipairs(keys) do
    page[2 * i + 3] = key
    page[2 * i + 4] = redis.call('HGET', KEYS[2], key)
end
return page
