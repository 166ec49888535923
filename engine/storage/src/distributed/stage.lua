-- Lays one part of a commit aside in its partition; nobody reads it before the commit is sealed.
-- KEYS: head, all parts, part. ARGV: epoch, id of the commit, commit that the partition stands at, then the changes.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'at', 'folding', 'undoing', 'staging')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if (head[2] or '') ~= ARGV[3] or head[3] or head[4] then return {'moved', head[2] or ''} end
if head[5] ~= ARGV[2] then
    forget(KEYS[2])
    redis.call('HSET', KEYS[1], 'staging', ARGV[2])
end
redis.call('DEL', KEYS[3])
redis.call('SADD', KEYS[2], KEYS[3])
for i = 4, #ARGV do
    redis.call('RPUSH', KEYS[3], ARGV[i])
end
return {'done'}
