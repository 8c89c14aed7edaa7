-- +goose Up

-- How principals are reached.
CREATE TABLE contacts (
    name    TEXT PRIMARY KEY,
    email   TEXT NOT NULL,
    data    TEXT NOT NULL, -- the whole contact as JSON
    version BIGINT NOT NULL
);
CREATE INDEX contacts_email ON contacts (email);

-- Who else is told. The secret signs what is sent, so it is kept as it is.
CREATE TABLE webhooks (
    id         TEXT PRIMARY KEY,
    site       TEXT NOT NULL,
    secret     TEXT NOT NULL,
    data       TEXT NOT NULL, -- the whole subscription as JSON
    version    BIGINT NOT NULL,
    deleted_at BIGINT
);

-- The outbox, written in the transaction of the event. due_at is null when there
-- is nothing more to do. Times are milliseconds since 1970.
CREATE TABLE notices (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE, -- of event and recipient
    incident   BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    channel    TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    language   TEXT NOT NULL,
    template   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at     BIGINT,
    outcome    TEXT NOT NULL,
    attempts   BIGINT NOT NULL
);
CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_incident ON notices (incident);
CREATE INDEX notices_recipient ON notices (recipient);

-- Each attempt to deliver one.
CREATE TABLE deliveries (
    id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notice  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    ok      BIGINT NOT NULL,
    answer  TEXT NOT NULL,
    took    BIGINT NOT NULL -- milliseconds
);
CREATE INDEX deliveries_notice ON deliveries (notice);
