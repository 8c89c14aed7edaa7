-- +goose Up

-- The words of the incidents that are not in the index of texts yet: after a storm
-- there are many, and the incidents' own rows are long.
CREATE TABLE fresh_words (
    number BIGINT PRIMARY KEY, -- of the incident
    text   TEXT NOT NULL
);
INSERT INTO fresh_words SELECT id, words FROM incidents WHERE id > (SELECT value FROM counters WHERE name = 'indexed');
