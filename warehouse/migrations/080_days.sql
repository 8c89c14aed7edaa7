-- What each device counted in the hours of whole days that lie behind, for series over
-- weeks, which learning asks for at each midnight: a row for a device and a day, its 24
-- hours as UInt16, the least byte first. An hour that does not fit has 65535 readings and
-- stands in great: hour of the day, in, out, readings. Hours begin grid quarters after
-- full ones, and so does the day: zones differ by quarters of an hour. Which rows count is
-- in raw_looks. Servers don't fill it.
CREATE TABLE {db}.raw_days (
    grid     UInt8            CODEC(ZSTD(1)),
    device   UInt64           CODEC(ZSTD(1)),
    day      Date             CODEC(ZSTD(1)),
    look     UInt64           CODEC(ZSTD(1)),
    `in`     FixedString(48)  CODEC(LZ4),
    `out`    FixedString(48)  CODEC(LZ4),
    readings FixedString(48)  CODEC(LZ4),
    great    Array(UInt64)    CODEC(ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (grid, device, day)
SETTINGS index_granularity = 1024, auto_statistics_types = '';

-- A look is an instant as of which some days are known of every device: where it has no
-- row of the look itself, by that of the look before. A look that is not here did not
-- come to its end, or was forgotten, and none of its rows counts.
CREATE TABLE {db}.raw_looks (
    look  UInt64,
    as_of DateTime64(3, 'UTC'),
    grid  UInt8,
    days  Array(Date)
) ENGINE = MergeTree
ORDER BY as_of
SETTINGS auto_statistics_types = '';
