-- Keep the lock, and add an entry to the cleaned stream. KEYS: lock, cleaned stream.
-- ARGV: token, ms of the lock, then id, newest, appended and batch, or nothing. Returns 1, or 0 if the lock is lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[3] then
  redis.call('XADD', KEYS[2], ARGV[3], 'newest', ARGV[4], 'appended', ARGV[5], 'batch', ARGV[6])
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
