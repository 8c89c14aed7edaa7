-- +goose Up

-- Whether a scope that fires is told of by its rule's finding for many, since the rule
-- was above its cap.
ALTER TABLE analyzer_states ADD COLUMN capped BOOLEAN NOT NULL DEFAULT FALSE;
