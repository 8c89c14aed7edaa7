-- Readings at rest. Statistics of columns, which nothing here asks for, were half a
-- byte for each reading of a small fleet: 8 KB in every part. Offsets are written
-- as the difference to the last one: in the order of the table that is no steady
-- step, whose difference would be worth writing.
ALTER TABLE {db}.raw_counts MODIFY SETTING auto_statistics_types = '';

ALTER TABLE {db}.raw_counts MODIFY COLUMN offset Int64 CODEC(Delta, ZSTD(1));

ALTER TABLE {db}.raw_heartbeats MODIFY SETTING auto_statistics_types = '';

ALTER TABLE {db}.raw_heartbeats MODIFY COLUMN offset Int64 CODEC(Delta, ZSTD(1));

-- What was last heard of each device is asked for all the time, and fast when it
-- is in one part.
ALTER TABLE {db}.raw_latest MODIFY SETTING auto_statistics_types = '', min_age_to_force_merge_seconds = 120, min_age_to_force_merge_on_partition_only = 1;
