-- +goose Up

-- An internal note that the supplier's people read too.
ALTER TABLE events ADD COLUMN shared BOOLEAN NOT NULL DEFAULT FALSE;
