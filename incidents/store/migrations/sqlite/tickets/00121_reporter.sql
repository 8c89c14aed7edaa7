-- +goose Up

-- The history of a requester.
ALTER TABLE incidents ADD COLUMN reporter TEXT NOT NULL DEFAULT '';
UPDATE incidents SET reporter = coalesce(json_extract(data, '$.reporter'), '');
CREATE INDEX incidents_reporter ON incidents (reporter) WHERE reporter <> '';
