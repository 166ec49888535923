-- Applies changes, each a table, p or d, a key and a value. KEYS from index first on are for each
-- table its rows and the order of their keys.
local function apply(changes, from, first)
    for i = from, #changes, 4 do
        local rows = KEYS[first + 2 * (tonumber(changes[i]) - 1)]
        local order = KEYS[first + 2 * (tonumber(changes[i]) - 1) + 1]
        if changes[i + 1] == 'p' then
            redis.call('HSET', rows, changes[i + 2], changes[i + 3])
            redis.call('ZADD', order, 0, changes[i + 2])
        else
            redis.call('HDEL', rows, changes[i + 2])
            redis.call('ZREM', order, changes[i + 2])
        end
    end
end
