-- +goose Up

-- What a device's newest heartbeat says of its software, '' for nothing, and the time
-- of the heartbeat in which that was first seen, in milliseconds since 1970.
ALTER TABLE devices ADD COLUMN firmware TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN firmware_since INTEGER;
