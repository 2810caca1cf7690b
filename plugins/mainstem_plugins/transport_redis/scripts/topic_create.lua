-- KEYS: the topic, the counter of ids. ARGV: base of keys, name, partitions, records from which a compacted partition is
-- cleaned, then fields of the topic. Returns 1, or 0 if it is there already.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'id', redis.call('INCR', KEYS[2]), 'partitions', ARGV[3], unpack(ARGV, 5))
for number = 0, tonumber(ARGV[3]) - 1 do
  redis.call('HSET', KEYS[1], 'start:' .. number, 0, 'end:' .. number, 0, 'bytes:' .. number, 0, 'live:' .. number, 0,
    'cleaned:' .. number, 0, 'compact_at:' .. number, ARGV[4], 'clean_at:' .. number, 0, 'trim_at:' .. number, 0,
    'newest:' .. number, '-9223372036854775808')
end
tell_groups(ARGV[1], ARGV[2], false)
return 1
