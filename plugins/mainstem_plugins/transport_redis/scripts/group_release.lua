-- ARGV: base of keys, group, member, then the places that it gives up.
local group = group_of(ARGV[1], ARGV[2])
for place = 4, #ARGV do
  if redis.call('HGET', group.owners, ARGV[place]) == ARGV[3] then
    redis.call('HDEL', group.owners, ARGV[place])
  end
end
return tell(group)
