-- +goose Up

-- Answers to requests that may come again, as in the tickets.
CREATE TABLE answers (
    key  TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    body BYTEA NOT NULL,
    at   BIGINT NOT NULL
);
CREATE INDEX answers_at ON answers (at);
