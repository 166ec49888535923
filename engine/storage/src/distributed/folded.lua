-- Notes that all parts of a sealed commit are in the rows.
-- KEYS: head. ARGV: epoch, id of the commit.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] == ARGV[2] then redis.call('HDEL', KEYS[1], 'staged') end
return {'done'}
