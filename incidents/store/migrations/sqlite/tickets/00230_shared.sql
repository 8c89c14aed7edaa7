-- +goose Up

-- An internal note that the supplier's people read too.
ALTER TABLE events ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
