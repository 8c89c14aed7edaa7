-- +goose Up

-- The supplier that has the incident now: while it is at level 3, or waits for a
-- supplier. A supplier's people see by it.
ALTER TABLE incidents ADD COLUMN supplier TEXT NOT NULL DEFAULT '';
UPDATE incidents SET supplier = coalesce(json_extract(data, '$.vendor.supplier'), '')
    WHERE level = 3 OR state = 'pending' AND json_extract(data, '$.pending_reason') = 'vendor';
CREATE INDEX incidents_supplier ON incidents (supplier, id, sort) WHERE supplier <> '';
