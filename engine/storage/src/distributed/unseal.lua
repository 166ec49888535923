-- Takes the last commit over several partitions back: from now on the rows are what they were before it, and
-- each partition has to go back to there.
-- KEYS: head, stands, stood. ARGV: commit that was seen.
local head = redis.call('HMGET', KEYS[1], 'commit', 'was')
if head[1] ~= ARGV[1] or not head[2] then return {'moved', head[1] or ''} end
local stood = redis.call('HGETALL', KEYS[3])
for i = 1, #stood, 2 do redis.call('HSET', KEYS[2], stood[i], stood[i + 1]) end
redis.call('DEL', KEYS[3])
redis.call('HDEL', KEYS[1], 'was')
redis.call('HSET', KEYS[1], 'commit', 'before ' .. ARGV[1], 'applied', head[2], 'staged', 'back')
return {'done'}
