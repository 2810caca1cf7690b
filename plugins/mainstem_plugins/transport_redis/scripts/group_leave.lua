-- ARGV: base of keys, group, member.
local group = group_of(ARGV[1], ARGV[2])
if is_member(group, ARGV[3]) then
  remove(group, ARGV[3])
  assign(group)
end
return 0
