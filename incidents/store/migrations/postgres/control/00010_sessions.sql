-- +goose Up

-- People who are signed in with a browser. Only the SHA-256 of the cookie is kept.
-- A session that was opened with a token is that token's, and ends with it; one
-- that a provider of identities vouched for says itself whose it is. Times are
-- milliseconds since 1970.
CREATE TABLE sessions (
    hash       BYTEA PRIMARY KEY,
    token      TEXT NOT NULL, -- '' when a provider vouched for it
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    site       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_expires ON sessions (expires_at);
