-- Makes a commit over several partitions hold, all at once: from now on its parts are what the rows are,
-- and they are folded into them. Where everything stood before is kept, so that the commit can be undone.
-- KEYS: head, stands, stood, parts of partition 0. ARGV: epoch, commit before, id of this one, position
-- before, position after, whether the past is kept, parts by partition, how many of them lie here, then the
-- partitions.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'applied', 'staged', 'staging')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] == ARGV[3] then return {'done'} end
if (head[2] or '') ~= ARGV[2] or head[3] ~= ARGV[4] then return {'moved', head[2] or ''} end
if head[4] then return {'staged'} end
if head[5] ~= ARGV[3] or redis.call('SCARD', KEYS[4]) ~= tonumber(ARGV[8]) then return {'lost'} end
redis.call('DEL', KEYS[3])
for i = 9, #ARGV do
    if ARGV[6] == '1' then redis.call('HSET', KEYS[3], ARGV[i], redis.call('HGET', KEYS[2], ARGV[i]) or '') end
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[3])
end
redis.call('HSET', KEYS[1], 'commit', ARGV[3], 'applied', ARGV[5], 'staged', ARGV[7], 'was', ARGV[4])
return {'done'}
