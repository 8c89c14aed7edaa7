-- +goose Up

-- Few sites are closed, and each batch of findings asks which.
CREATE INDEX sites_closed ON sites (status, id) WHERE status <> 'open';
