-- The public holidays of the places where sites are: a site's row names the place, and
-- its dates are here once. The copy of the registry is made anew, a second after the start.
CREATE TABLE {db}.raw_holidays (
    place    String,
    dates    Array(Date),
    names    Array(String),
    revision UInt64
) ENGINE = ReplacingMergeTree(revision)
ORDER BY place;

ALTER TABLE {db}.raw_sites ADD COLUMN IF NOT EXISTS holidays LowCardinality(String);

TRUNCATE TABLE {db}.raw_sites;

CREATE OR REPLACE VIEW {db}.sites AS
SELECT site, name, zone, status, labels, contact, hours, exceptions, holidays FROM {db}.raw_sites FINAL;

CREATE VIEW {db}.holidays AS
SELECT place, date, name FROM {db}.raw_holidays FINAL ARRAY JOIN dates AS date, names AS name;
