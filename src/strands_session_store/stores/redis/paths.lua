-- The list of a space's paths is ascending, so one is found by halving. Stands in front of the scripts that look there.

-- where in the paths the first one stands that is not before `path`, looked for behind `from`
local function place_of(paths, path, from)
  local low, high = from, #paths + 1
  while low < high do
    -- the record at `low` first: sets of documents come and go together
    local stop = string.find(paths, '\0', low, true)
    if not before(string.sub(paths, low, stop - 1), path) then return low end
    low = stop + 1
    if high - low > 256 then
      local middle = math.floor((low + high) / 2)
      local begin = string.find(paths, '\0', middle, true) + 1
      if begin < high then
        local stops = string.find(paths, '\0', begin, true)
        if before(string.sub(paths, begin, stops - 1), path) then low = begin else high = begin end
      end
    end
  end
  return low
end
