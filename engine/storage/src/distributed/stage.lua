-- Lays one part of a large commit aside; nobody reads it before it is sealed.
-- KEYS: head, part, all parts. ARGV: epoch, then the changes.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[1] then return {'fenced', epoch or ''} end
redis.call('DEL', KEYS[2])
redis.call('SADD', KEYS[3], KEYS[2])
for i = 2, #ARGV do
    redis.call('RPUSH', KEYS[2], ARGV[i])
end
return {'done'}
