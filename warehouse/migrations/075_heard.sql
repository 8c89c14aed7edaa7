-- Who puts readings in also notes when devices were last heard of, and what came
-- late: three pipelines of the engine for each batch cost more than the rows did.
DROP VIEW IF EXISTS {db}.raw_latest_counts;

DROP VIEW IF EXISTS {db}.raw_latest_heartbeats;

DROP VIEW IF EXISTS {db}.raw_late_counts;

DROP VIEW IF EXISTS {db}.raw_late_heartbeats;

-- A part of up to two million readings is one file, and not one for each column and
-- its marks: a batch was a little larger than what the engine takes for small.
ALTER TABLE {db}.raw_counts MODIFY SETTING min_bytes_for_wide_part = 100000000;
