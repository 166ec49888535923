-- Puts one part of a sealed commit into the rows. Doing it twice changes nothing.
-- KEYS: head, part, all parts, then for each table its rows and the order of their keys.
-- ARGV: epoch, id of the commit.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'staged')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] ~= ARGV[2] or not head[3] then return {'folded'} end
apply(redis.call('LRANGE', KEYS[2], 0, -1), 1, 4)
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[3], KEYS[2])
return {'done'}
