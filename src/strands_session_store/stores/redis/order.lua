-- Names are in order of their bytes; stands in front of the scripts that compare them.

-- not '<', which goes by the server's locale
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
