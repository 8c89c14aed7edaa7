-- +goose Up

-- How many incidents a minute people are troubled with.
CREATE INDEX incidents_alone ON incidents (opened_at) WHERE parent IS NULL;
