-- Puts one part of a sealed commit into the rows. Doing it twice changes nothing.
-- KEYS: head, part, all parts, then for each table its rows and the order of their keys. ARGV: epoch.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch ~= ARGV[1] then return {'fenced', epoch or ''} end
local part = redis.call('LRANGE', KEYS[2], 0, -1)
for i = 1, #part, 4 do
    local rows = KEYS[2 * tonumber(part[i]) + 2]
    local order = KEYS[2 * tonumber(part[i]) + 3]
    if part[i + 1] == 'p' then
        redis.call('HSET', rows, part[i + 2], part[i + 3])
        redis.call('ZADD', order, 0, part[i + 2])
    else
        redis.call('HDEL', rows, part[i + 2])
        redis.call('ZREM', order, part[i + 2])
    end
end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[3], KEYS[2])
return {'done'}
