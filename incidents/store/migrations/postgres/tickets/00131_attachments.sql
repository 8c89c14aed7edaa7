-- +goose Up

-- What is attached to incidents. The bytes lie in files beside the database, named
-- by their SHA-256, or in attachment_bytes where there is no folder.
CREATE TABLE attachments (
    id         TEXT PRIMARY KEY,
    incident   BIGINT NOT NULL,
    name       TEXT NOT NULL,
    type       TEXT NOT NULL, -- as it was found to be, whatever was said
    size       BIGINT NOT NULL,
    hash       TEXT NOT NULL,
    internal   BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX attachments_incident ON attachments (incident, created_at);
CREATE INDEX attachments_hash ON attachments (hash);

CREATE TABLE attachment_bytes (
    hash TEXT PRIMARY KEY,
    data BYTEA NOT NULL
);
