-- Puts one part of a sealed commit into the rows of its partition. Doing it twice changes nothing.
-- KEYS: head, parts, part, past, then for each table its rows and the order of their keys.
-- ARGV: id of the commit, the one that the partition stood at before, how many parts there are, whether
-- the past is kept.
local head = redis.call('HMGET', KEYS[1], 'at', 'folding', 'undoing', 'staging')
local at = head[1] or ''
if head[3] then return {'moved', at} end
if at == ARGV[1] and not head[2] then return {'folded'} end
if at ~= ARGV[1] then
    if at ~= ARGV[2] or head[2] then return {'moved', at} end
    if head[4] ~= ARGV[1] or redis.call('SCARD', KEYS[2]) ~= tonumber(ARGV[3]) then return {'lost'} end
    redis.call('DEL', KEYS[4])
    redis.call('HDEL', KEYS[1], 'before')
    if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'before', at) end
    redis.call('HSET', KEYS[1], 'at', ARGV[1], 'folding', 1)
end
apply(redis.call('LRANGE', KEYS[3], 0, -1), 1, 5, ARGV[4] == '1' and KEYS[4] or nil)
redis.call('DEL', KEYS[3])
redis.call('SREM', KEYS[2], KEYS[3])
if redis.call('SCARD', KEYS[2]) == 0 then redis.call('HDEL', KEYS[1], 'folding', 'staging') end
return {'done'}
