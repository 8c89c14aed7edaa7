-- +goose Up

-- Who evaluates which shard of the scopes, until when (nanoseconds since 1970). The
-- epoch grows each time that a shard changes hands: what its former holder still had
-- under way is refused by it.
CREATE TABLE analyzer_leases (
    shard  BIGINT PRIMARY KEY,
    holder TEXT NOT NULL,
    epoch  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);

-- The analyzers at work, by which they divide the shards among them.
CREATE TABLE analyzer_members (
    holder TEXT PRIMARY KEY,
    until  BIGINT NOT NULL
);
