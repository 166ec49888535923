-- Draws the epoch of a new owner: above the one stored and above the one given.
-- KEYS: head. ARGV: highest epoch known elsewhere, number of partitions.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'applied', 'partitions')
local partitions = head[3] or (head[1] and '1') or ARGV[2]
if partitions ~= ARGV[2] then return {'partitions', partitions} end
local epoch = math.max(tonumber(head[1] or '0'), tonumber(ARGV[1])) + 1
redis.call('HSET', KEYS[1], 'epoch', epoch)
if partitions ~= '1' then redis.call('HSET', KEYS[1], 'partitions', partitions) end
if not head[2] then redis.call('HSET', KEYS[1], 'applied', 0) end
return {'done', tostring(epoch)}
