-- Tells a partition of its new owner. Parts of a commit that was never sealed are dropped.
-- KEYS: head, parts. ARGV: epoch.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'folding')
if tonumber(head[1] or '0') > tonumber(ARGV[1]) then return {'fenced', head[1]} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
if not head[2] then forget(KEYS[2]) end
return {'done'}
