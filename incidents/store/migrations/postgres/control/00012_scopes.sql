-- +goose Up

-- What of its role's a token may do, with blanks between; '' for all of it.
ALTER TABLE tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
