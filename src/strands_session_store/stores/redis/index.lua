-- A group of the index is one sorted set: a Cluster moves it whole, so a listing works while its slot is being moved.
--
-- KEYS[1] holds three members for each space of the group (of an owner, of a parent, or all of a kind), whose scores, in
-- seconds of Unix time, do not overlap:
--   c<name>   when it was created
--   u<name>   when it was updated, plus 2^33
--   x<name>   when somebody last claimed it, negative: was about to create it
-- A claim is there before the space is, and the rest is taken away only when no claim is younger than the life that
-- ended: so no space is without a row.
-- ARGV: verb, then
--   claim   name                      make the row, if there is none. Returns 1 if there was one
--   claim   name, created             make the row of a space that is there, and is about to be moved here. Returns 1
--   renew   name                      the row of an earlier life is of one that begins now
--   touch   name, time                the space was updated; and make the row, should it be missing
--   remove  name, claimed             the life, or stay here, whose last claim was at `claimed` (microseconds) has ended; ""
--                                     for a row whose space is absent: it goes when an hour old
--   page    c | u, + | -, since, until, cursor's time, cursor's name, limit
--                                     {name, created, updated, ...}; since, until and the cursor may be ""

local HOUR, APART = 3600, 8589934592
local key, verb, name = KEYS[1], ARGV[1], ARGV[2]
local clock = redis.call('TIME')
local now = string.format('%s.%06d', clock[1], tonumber(clock[2]))
local function exact(number) return string.format('%.17g', number) end
-- past 2^33 doubles are 2^-19 apart: rounded up, so that nothing is updated before it is created
local function shifted(time)
  time = tonumber(time)
  local sum = time + APART
  if sum - APART < time then sum = sum + 1 / 524288 end
  return exact(sum)
end
local function score(member) return tonumber(redis.call('ZSCORE', key, member) or nil) end

if verb == 'claim' then
  local reply = redis.pcall('ZADD', key, '-' .. now, 'x' .. name)
  if type(reply) == 'table' then return reply end
  local made = 0
  if ARGV[3] then
    redis.call('ZADD', key, ARGV[3], 'c' .. name)
    redis.call('ZADD', key, 'GT', shifted(now), 'u' .. name)
  else
    made = redis.call('ZADD', key, 'NX', now, 'c' .. name, shifted(now), 'u' .. name)
  end
  -- claims are forgotten when too old to matter, a few at a time
  for _, old in ipairs(redis.call('ZREVRANGEBYSCORE', key, '(0', exact(HOUR - tonumber(now)), 'LIMIT', 0, 8)) do
    redis.call('ZREM', key, old)
  end
  return made == 0 and 1 or 0
elseif verb == 'renew' then
  -- the claim too: whoever dropped the life before this one may only now come to remove its row
  redis.call('ZADD', key, '-' .. now, 'x' .. name)
  return redis.call('ZADD', key, now, 'c' .. name, shifted(now), 'u' .. name)
elseif verb == 'touch' then
  local reply = redis.pcall('ZADD', key, 'GT', shifted(ARGV[3]), 'u' .. name)
  if type(reply) == 'table' then return reply end
  return redis.call('ZADD', key, 'NX', ARGV[3], 'c' .. name)
elseif verb == 'remove' then
  local claim = -(score('x' .. name) or 0)
  if ARGV[3] == '' then
    if math.max(score('c' .. name) or 0, claim) > tonumber(now) - HOUR then return 0 end
  elseif math.floor(claim * 1000000 + 0.5) > tonumber(ARGV[3]) then
    return 0
  end
  return redis.pcall('ZREM', key, 'c' .. name, 'u' .. name, 'x' .. name)
end

-- page
local letter, up, since, till, time, behind, limit =
  ARGV[2], ARGV[3] == '+', tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local base = letter == 'u' and APART or 0
local low, high = exact(base), letter == 'u' and '+inf' or '(' .. exact(APART)
if since and since > 0 then low = exact(base + since) end
if till and till < APART then high = '(' .. exact(base + till) end
if time and up and (not since or time > since) then low = exact(base + time) end
if time and not up and (not till or time < till) then high = exact(base + time) end
local found, skipped = {}, 0
while #found < 3 * limit do
  local rows
  if up then
    rows = redis.call('ZRANGEBYSCORE', key, low, high, 'WITHSCORES', 'LIMIT', skipped, limit)
  else
    rows = redis.call('ZREVRANGEBYSCORE', key, high, low, 'WITHSCORES', 'LIMIT', skipped, limit)
  end
  for at = 1, #rows, 2 do
    local member, at_time = string.sub(rows[at], 2), tonumber(rows[at + 1]) - base
    local past = not time or at_time ~= time
    if not past and up then past = before(behind, member) elseif not past then past = before(member, behind) end
    if past and #found < 3 * limit then
      local created = letter == 'c' and at_time or score('c' .. member) or at_time
      local updated = letter == 'u' and at_time or (score('u' .. member) or at_time + APART) - APART
      found[#found + 1] = member
      found[#found + 1] = exact(created)
      found[#found + 1] = exact(updated)
    end
  end
  if #rows < 2 * limit then break end
  skipped = skipped + limit
end
return found
