-- KEYS: the topic. ARGV: base of keys, name.
for number = 0, count_of(ARGV[1], ARGV[2]) - 1 do
  redis.call('UNLINK', ARGV[1] .. 'stream:' .. ARGV[2] .. ':' .. number)
end
if redis.call('DEL', KEYS[1]) == 1 then
  tell_groups(ARGV[1], ARGV[2], true)
end
return 0
