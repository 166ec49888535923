-- Drops parts that were laid aside. KEYS[1] is the head, parts names the set of them.
local function forget(parts)
    for _, part in ipairs(redis.call('SMEMBERS', parts)) do redis.call('DEL', part) end
    redis.call('DEL', parts)
    redis.call('HDEL', KEYS[1], 'staging')
end
