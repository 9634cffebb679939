-- Names are in order of their bytes; stands in front of the scripts that compare them.

-- not '<', which goes by the server's locale
local function before(a, b)
  local first = 1
  -- names have long beginnings in common
  while first + 15 <= #a and string.sub(a, first, first + 15) == string.sub(b, first, first + 15) do first = first + 16 end
  for i = first, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
