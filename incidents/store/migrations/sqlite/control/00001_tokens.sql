-- +goose Up

CREATE TABLE principals (
    id         INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL, -- stands on timelines
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, name)
);

-- A token reads bf_<id>_<secret>; only the SHA-256 of the secret is kept. Times
-- are milliseconds since 1970.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    principal  INTEGER NOT NULL REFERENCES principals (id),
    role       TEXT NOT NULL,
    site       TEXT NOT NULL,
    hash       BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used  INTEGER,
    revoked_at INTEGER
) WITHOUT ROWID;
