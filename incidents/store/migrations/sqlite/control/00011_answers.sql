-- +goose Up

-- Answers to requests that may come again, as in the tickets.
CREATE TABLE answers (
    key  TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    body BLOB NOT NULL,
    at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);
