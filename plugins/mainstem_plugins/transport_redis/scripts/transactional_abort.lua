-- A new epoch, so that a commit that is still on its way is refused. KEYS: the transactional id. ARGV: owner.
-- Returns the epoch, or 0 if another owner has taken the id over.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return 0
end
return redis.call('HINCRBY', KEYS[1], 'epoch', 1)
