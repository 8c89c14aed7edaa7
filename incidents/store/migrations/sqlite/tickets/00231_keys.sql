-- +goose Up

-- One index finds the incidents of a key and keeps two of them from being open: the
-- open one's second part is 0, that of each other one its own number.
DROP INDEX incidents_open_key;
DROP INDEX incidents_key;
CREATE UNIQUE INDEX incidents_key ON incidents (key, (CASE WHEN open_key IS NULL THEN id ELSE 0 END)) WHERE key <> '';
