-- +goose Up

-- Of the third line: whose cases alone are seen; '' for all of level 3.
ALTER TABLE tokens ADD COLUMN supplier TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN supplier TEXT NOT NULL DEFAULT '';
