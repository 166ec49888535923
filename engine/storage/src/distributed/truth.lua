-- What partition 0 says of the store. KEYS: head, stands, stood.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'applied', 'staged', 'partitions', 'was')
for i = 1, 6 do head[i] = head[i] or '' end
return {head, redis.call('HGETALL', KEYS[2]), redis.call('HGETALL', KEYS[3])}
