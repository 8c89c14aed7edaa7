-- +goose Up

-- Which processes have a tenant open, so that nobody deletes it under their hands.
-- Times are milliseconds since 1970.
CREATE TABLE tenant_holders (
    tenant BIGINT NOT NULL, -- its number
    holder TEXT NOT NULL,
    until  BIGINT NOT NULL, -- unless it is renewed
    PRIMARY KEY (tenant, holder)
);
