-- +goose Up

-- The client companies. A number is never given twice, so that what is left of
-- one that was dropped is not taken for another's of the same name.
CREATE TABLE tenants (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, -- milliseconds since 1970
    dropping   INTEGER NOT NULL  -- 1 while its data are being deleted
);
INSERT INTO tenants (name, created_at, dropping) VALUES ('default', unixepoch() * 1000, 0);

-- A provider's token may also manage the tenants.
ALTER TABLE tokens ADD COLUMN provider INTEGER NOT NULL DEFAULT 0;
UPDATE tokens SET provider = 1 WHERE role = 'admin' AND site = '';
