-- +goose Up

-- What a row says is said once: the sort's parts are in sorts, and data is NULL as long
-- as the incident is what its first event says. The summary's words are looked through
-- in these rows, which are short now.
DROP INDEX incidents_key;
DROP INDEX incidents_place;
ALTER TABLE incidents ADD COLUMN open BIGINT NOT NULL DEFAULT 0; -- 1 while it can absorb findings
UPDATE incidents SET open = 1 WHERE open_key IS NOT NULL;
ALTER TABLE incidents ALTER COLUMN open DROP DEFAULT, ALTER COLUMN data DROP NOT NULL,
    DROP COLUMN open_key, DROP COLUMN version, DROP COLUMN state, DROP COLUMN condition, DROP COLUMN category, DROP COLUMN rule,
    DROP COLUMN level, DROP COLUMN priority, DROP COLUMN kind, DROP COLUMN clock;
DROP TABLE fresh_words;

-- One index finds the incidents of a key and keeps two of them from being open: the
-- open one's second part is 0, that of each other one its own number.
CREATE UNIQUE INDEX incidents_key ON incidents (key, (CASE open WHEN 1 THEN 0 ELSE id END)) INCLUDE (id) WHERE key <> '';
CREATE INDEX incidents_place ON incidents (site, sort, id) WHERE open = 1;
