-- The opening hours of sites, for pictures that shade them. The copy of the registry
-- is made anew, a second after the start.
ALTER TABLE {db}.raw_sites
    ADD COLUMN IF NOT EXISTS hours Array(Tuple(UInt8, UInt16, UInt16)),
    ADD COLUMN IF NOT EXISTS exceptions Array(Tuple(String, UInt16, UInt16));

TRUNCATE TABLE {db}.raw_sites;

CREATE OR REPLACE VIEW {db}.sites AS
SELECT site, name, zone, status, labels, contact, hours, exceptions FROM {db}.raw_sites FINAL;
