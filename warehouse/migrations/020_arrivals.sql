-- Which readings came in a span of time, whatever time they tell of: an index of the
-- least and the greatest arrival of each granule lets the engine leave the rest alone.
ALTER TABLE {db}.raw_counts ADD INDEX IF NOT EXISTS arrivals toUnixTimestamp64Milli(ts) + delay TYPE minmax GRANULARITY 1;

ALTER TABLE {db}.raw_counts MATERIALIZE INDEX arrivals;

ALTER TABLE {db}.raw_heartbeats ADD INDEX IF NOT EXISTS arrivals toUnixTimestamp64Milli(ts) + delay TYPE minmax GRANULARITY 1;

ALTER TABLE {db}.raw_heartbeats MATERIALIZE INDEX arrivals;
