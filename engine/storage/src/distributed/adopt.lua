-- Names parts that were sealed by a version that knew no partitions as this one names them.
-- KEYS: head, stands, parts. ARGV: id of the commit.
local head = redis.call('HMGET', KEYS[1], 'commit', 'staged')
if head[1] ~= ARGV[1] or not tonumber(head[2] or '') then return {'moved', head[1] or ''} end
redis.call('HSET', KEYS[1], 'staging', ARGV[1], 'staged', '0:' .. redis.call('SCARD', KEYS[3]))
redis.call('HSET', KEYS[2], '0', ARGV[1])
return {'done'}
