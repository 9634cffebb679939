-- What a script is told comes as one argument of words, each ended by \0. Stands in front of the scripts.

local function words_in(text)
  local words, count = {}, 0
  for word in string.gmatch(text, '([^%z]*)%z') do
    count = count + 1
    words[count] = word
  end
  return words
end
