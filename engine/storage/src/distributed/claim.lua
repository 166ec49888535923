-- Draws the epoch of a new owner: above the one stored and above the one given. Parts of a commit
-- that was never sealed are dropped.
-- KEYS: head, all parts. ARGV: highest epoch known elsewhere.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'applied', 'staged', 'commit')
local epoch = math.max(tonumber(head[1] or '0'), tonumber(ARGV[1])) + 1
redis.call('HSET', KEYS[1], 'epoch', epoch)
if not head[2] then redis.call('HSET', KEYS[1], 'applied', 0) end
if not head[3] then
    for _, part in ipairs(redis.call('SMEMBERS', KEYS[2])) do redis.call('DEL', part) end
    redis.call('DEL', KEYS[2])
end
return {tostring(epoch), head[2] or '0', head[3] or '0', head[4] or ''}
