-- Makes the parts of a large commit hold, all at once; they are folded into the rows afterwards.
-- KEYS: head, parts. ARGV: epoch, id of this commit, position before, position after, then the length of each part.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'applied', 'staged')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] == ARGV[2] then return {'done'} end
if head[3] ~= ARGV[3] then return {'moved', head[3] or ''} end
if head[4] then return {'staged'} end
for i = 2, #KEYS do
    if redis.call('LLEN', KEYS[i]) ~= tonumber(ARGV[i + 3]) then return {'lost', KEYS[i]} end
end
redis.call('HSET', KEYS[1], 'commit', ARGV[2], 'applied', ARGV[4], 'staged', #KEYS - 1)
return {'done'}
