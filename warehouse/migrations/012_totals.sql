-- What cumulative counters showed, every version as it arrived. The counts
-- between them are put into raw_counts when they are inserted, for which a
-- total's neighbours in time are looked up: so hours lead the key, and the
-- interval before and after is read alone. -1 is a counter that the device does
-- not have, a modulus of 0 one that it does not tell.
CREATE TABLE {db}.raw_totals (
    device    UInt64                CODEC(ZSTD(1)),
    ts        DateTime64(3, 'UTC')  CODEC(DoubleDelta, ZSTD(1)),
    delay     Int64                 CODEC(T64, ZSTD(1)),
    offset    Int64                 CODEC(DoubleDelta, ZSTD(1)),
    in_total  Int64                 CODEC(Delta, ZSTD(1)),
    out_total Int64                 CODEC(Delta, ZSTD(1)),
    modulus   Int64                 CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (toStartOfHour(ts), device, ts, delay, offset);
