-- Where a partition stands, and its parts. KEYS: head, parts.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'at', 'before', 'folding', 'undoing', 'staging')
local before = head[3] and '1' or ''
for i = 1, 6 do head[i] = head[i] or '' end
head[7] = before
for _, part in ipairs(redis.call('SMEMBERS', KEYS[2])) do head[#head + 1] = part end
return head
