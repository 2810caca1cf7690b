-- ARGV: base of keys, group, member, then place, offset and metadata of each.
-- Returns the places that belong to others; if there are none, all are stored.
local group = group_of(ARGV[1], ARGV[2])
local strange = strange_among(group, ARGV[3], ARGV, 4, #ARGV)
if #strange == 0 then
  store(group, ARGV, 4, #ARGV)
end
return strange
