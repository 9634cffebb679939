-- Counters are added as decimal strings: a double is exact to 2^53 only. Stands in front of commit.lua.

local EXACT = 4503599627370496 -- 2^52: sums of two below it are exact

-- the sum of two int64; nil past int64
local function sum(a, b)
  local x, y = tonumber(a), tonumber(b)
  if math.abs(x) < EXACT and math.abs(y) < EXACT then return string.format('%.0f', x + y) end
  local function split(text)
    local sign, digits = string.match(text, '^(-?)(%d+)$')
    local unit = sign == '-' and -1 or 1
    digits = string.rep('0', 10) .. digits
    return unit * tonumber(string.sub(digits, 1, -10)), unit * tonumber(string.sub(digits, -9))
  end
  local high, low = split(a)
  local more_high, more_low = split(b)
  high, low = high + more_high, low + more_low
  if low >= 1e9 then high, low = high + 1, low - 1e9 elseif low <= -1e9 then high, low = high - 1, low + 1e9 end
  if high > 0 and low < 0 then high, low = high - 1, low + 1e9 elseif high < 0 and low > 0 then high, low = high + 1, low - 1e9 end
  local negative = high < 0 or low < 0
  high, low = math.abs(high), math.abs(low)
  if high > 9223372036 or (high == 9223372036 and low > (negative and 854775808 or 854775807)) then return nil end
  local digits = high > 0 and string.format('%.0f%09.0f', high, low) or string.format('%.0f', low)
  return (negative and '-' or '') .. digits
end
