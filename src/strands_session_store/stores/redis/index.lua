-- A group of the index: the spaces of an owner, of a parent, or all of a kind, by time. All its keys are in one slot.
--
-- KEYS: created, updated, claims: sorted sets of members (`index.py`) by Unix time in seconds.
-- A claim says that somebody is about to create the space. Its row is there before the space is, and is taken away only
-- when no claim is younger than the life that ended: so no space is without a row.
-- ARGV: verb, then
--   claim   member                    make the row, if there is none. Returns 1 if there was one
--   renew   member                    the row of an earlier life is of one that begins now
--   touch   member, time              the space was updated; and make the row, should it be missing
--   remove  member, claimed           the life whose last claim was at `claimed` (microseconds) has ended; "" for a row
--                                     whose space is absent: it goes when an hour old
--   page    created | updated, + | -, since, until, cursor's time, cursor's member, limit
--                                     {member, created, updated, ...}; since, until and the cursor may be ""

local HOUR = 3600
local clock = redis.call('TIME')
local now = string.format('%s.%06d', clock[1], tonumber(clock[2]))
local created, updated, claims = KEYS[1], KEYS[2], KEYS[3]
local verb, member = ARGV[1], ARGV[2]

if verb == 'claim' then
  local reply = redis.pcall('ZADD', created, 'NX', now, member)
  if type(reply) == 'table' then return reply end
  redis.call('ZADD', updated, 'NX', now, member)
  redis.call('ZADD', claims, now, member)
  -- claims are forgotten when too old to matter, a few at a time
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', claims, '-inf', tonumber(now) - HOUR, 'LIMIT', 0, 8)) do
    redis.call('ZREM', claims, old)
  end
  return 1 - reply
elseif verb == 'renew' then
  redis.call('ZADD', created, now, member)
  redis.call('ZADD', updated, now, member)
  return 1
elseif verb == 'touch' then
  local reply = redis.pcall('ZADD', updated, 'GT', ARGV[3], member)
  if type(reply) == 'table' then return reply end
  redis.call('ZADD', created, 'NX', ARGV[3], member)
  return 1
elseif verb == 'remove' then
  local claim = redis.call('ZSCORE', claims, member)
  if ARGV[3] == '' then
    local born = tonumber(redis.call('ZSCORE', created, member) or 0)
    if math.max(born, tonumber(claim or 0)) > tonumber(now) - HOUR then return 0 end
  elseif claim and math.floor(tonumber(claim) * 1000000 + 0.5) > tonumber(ARGV[3]) then
    return 0
  end
  local reply = redis.pcall('ZREM', created, member)
  if type(reply) == 'table' then return reply end
  redis.call('ZREM', updated, member)
  redis.call('ZREM', claims, member)
  return reply
end

-- page
local by = ARGV[2] == 'created' and created or updated
local other = ARGV[2] == 'created' and updated or created
local up, since, till, time, behind, limit =
  ARGV[3] == '+', ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local low, high = since == '' and '-inf' or since, till == '' and '+inf' or '(' .. till
if time ~= '' then
  if up and (since == '' or tonumber(time) > tonumber(since)) then low = time end
  if not up and (till == '' or tonumber(time) < tonumber(till)) then high = time end
end
local found, skipped = {}, 0
while #found < 3 * limit do
  local rows
  if up then
    rows = redis.call('ZRANGEBYSCORE', by, low, high, 'WITHSCORES', 'LIMIT', skipped, limit)
  else
    rows = redis.call('ZREVRANGEBYSCORE', by, high, low, 'WITHSCORES', 'LIMIT', skipped, limit)
  end
  for at = 1, #rows, 2 do
    local name, score = rows[at], rows[at + 1]
    local past = true
    if time ~= '' and tonumber(score) == tonumber(time) then
      if up then past = before(behind, name) else past = before(name, behind) end
    end
    if past and #found < 3 * limit then
      local also = redis.call('ZSCORE', other, name) or score
      found[#found + 1] = name
      found[#found + 1] = by == created and score or also
      found[#found + 1] = by == created and also or score
    end
  end
  if #rows < 2 * limit then break end
  skipped = skipped + limit
end
return found
