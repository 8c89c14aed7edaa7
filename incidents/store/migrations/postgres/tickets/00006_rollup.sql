-- +goose Up

-- The site incident that an incident is a part of, and what is open at a place.
ALTER TABLE incidents ADD COLUMN parent TEXT;
CREATE INDEX incidents_parent ON incidents (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX incidents_place ON incidents (site, rule, id) WHERE open_key IS NOT NULL;
