-- +goose Up

-- The supplier that has the incident now: while it is at level 3, or waits for a
-- supplier. A supplier's people see by it.
ALTER TABLE incidents ADD COLUMN supplier TEXT NOT NULL DEFAULT '';
UPDATE incidents SET supplier = coalesce(json_extract(data, '$.vendor.supplier'), '')
    WHERE CASE WHEN typeof(data) <> 'text' THEN 0 -- packed, and so written since there is a supplier
        ELSE level = 3 OR state = 'pending' AND json_extract(data, '$.pending_reason') = 'vendor' END;
CREATE INDEX incidents_supplier ON incidents (supplier, id, sort) WHERE supplier <> '';
