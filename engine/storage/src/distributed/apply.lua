-- Applies changes, each a table, p or d, a key and a value. KEYS from index first on are for each
-- table its rows and the order of their keys. What is overwritten is kept in past, unless that is nil.
local function apply(changes, from, first, past)
    for i = from, #changes, 4 do
        local rows = KEYS[first + 2 * (tonumber(changes[i]) - 1)]
        local order = KEYS[first + 2 * (tonumber(changes[i]) - 1) + 1]
        if past then
            local was = redis.call('HGET', rows, changes[i + 2])
            redis.call('HSETNX', past, changes[i] .. ' ' .. changes[i + 2], was and 'p' .. was or 'd')
        end
        if changes[i + 1] == 'p' then
            redis.call('HSET', rows, changes[i + 2], changes[i + 3])
            redis.call('ZADD', order, 0, changes[i + 2])
        else
            redis.call('HDEL', rows, changes[i + 2])
            redis.call('ZREM', order, changes[i + 2])
        end
    end
end
