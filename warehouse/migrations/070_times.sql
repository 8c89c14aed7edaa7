-- The engine takes a condition on ts (or hour) to the column of that name in a
-- table's key, the third, and not to the day in front: a question about a day read
-- the whole month. The least and the greatest time of each granule, which holds
-- a day or two, leave the rest of it alone.
ALTER TABLE {db}.raw_counts ADD INDEX IF NOT EXISTS times ts TYPE minmax GRANULARITY 1;

ALTER TABLE {db}.raw_counts MATERIALIZE INDEX times;

ALTER TABLE {db}.raw_heartbeats ADD INDEX IF NOT EXISTS times ts TYPE minmax GRANULARITY 1;

ALTER TABLE {db}.raw_heartbeats MATERIALIZE INDEX times;

ALTER TABLE {db}.raw_hours ADD INDEX IF NOT EXISTS times hour TYPE minmax GRANULARITY 1;

ALTER TABLE {db}.raw_hours MATERIALIZE INDEX times;
