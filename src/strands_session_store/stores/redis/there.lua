-- How many of these spaces there are. KEYS: the spaces; in a Cluster one, as each has a slot of its own. Writes nothing.
return redis.call('EXISTS', unpack(KEYS))
