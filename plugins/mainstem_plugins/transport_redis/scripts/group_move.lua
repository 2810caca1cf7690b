-- ARGV: base of keys, group, then place, offset and '' of each. Returns '' if the group was moved, 'members' if it has some,
-- or the first place that does not exist.
local group = group_of(ARGV[1], ARGV[2])
put_out_lapsed(group, now_ms())
if redis.call('ZCARD', group.leases) > 0 then
  return 'members'
end
for place = 3, #ARGV, 3 do
  local topic, number = topic_of(ARGV[place])
  if tonumber(number) >= count_of(group.base, topic) then
    return ARGV[place]
  end
end
redis.call('SADD', group.base .. 'groups', group.name)
store(group, ARGV, 3, #ARGV)
return ''
