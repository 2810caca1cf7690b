-- Take a transactional id over. KEYS: the transactional id. ARGV: the new owner. Returns its epoch.
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'done', '')
return redis.call('HINCRBY', KEYS[1], 'epoch', 1)
