-- +goose Up

-- Whose eyes a shared note is for: the supplier that had the incident when it was
-- written; '' for whichever comes to have it.
ALTER TABLE events ADD COLUMN supplier TEXT NOT NULL DEFAULT '';
