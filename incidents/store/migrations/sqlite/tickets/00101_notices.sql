-- +goose Up

-- How principals are reached.
CREATE TABLE contacts (
    name    TEXT PRIMARY KEY,
    email   TEXT NOT NULL,
    data    TEXT NOT NULL, -- the whole contact as JSON
    version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX contacts_email ON contacts (email);

-- Who else is told. The secret signs what is sent, so it is kept as it is.
CREATE TABLE webhooks (
    id         TEXT PRIMARY KEY,
    site       TEXT NOT NULL,
    secret     TEXT NOT NULL,
    data       TEXT NOT NULL, -- the whole subscription as JSON
    version    INTEGER NOT NULL,
    deleted_at INTEGER
) WITHOUT ROWID;

-- The outbox, written in the transaction of the event. due_at is null when there
-- is nothing more to do. Times are milliseconds since 1970.
CREATE TABLE notices (
    id         INTEGER PRIMARY KEY,
    key        TEXT NOT NULL UNIQUE, -- of event and recipient
    incident   INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    channel    TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    language   TEXT NOT NULL,
    template   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER,
    outcome    TEXT NOT NULL,
    attempts   INTEGER NOT NULL
);
CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_incident ON notices (incident);
CREATE INDEX notices_recipient ON notices (recipient);

-- Each attempt to deliver one.
CREATE TABLE deliveries (
    id      INTEGER PRIMARY KEY,
    notice  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    ok      INTEGER NOT NULL,
    answer  TEXT NOT NULL,
    took    INTEGER NOT NULL -- milliseconds
);
CREATE INDEX deliveries_notice ON deliveries (notice);
