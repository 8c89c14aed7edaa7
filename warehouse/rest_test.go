package warehouse

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// atRest is how many bytes a reading may take, with all its columns and all that
// the engine keeps beside them.
const atRest = 2.0

// TestReadingsAtRestAreSmall puts three years of real counts in, in the order of
// the file, as the log would: the log's partitions, and offsets in them.
func TestReadingsAtRestAreSmall(t *testing.T) {
	file, err := filepath.Abs("../../shared/data/melbourne_pedestrian/pedestriancounts_melbourne_2012_2016.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Skip("the counts of Melbourne's pedestrians are not at hand; see docs/real-data.md")
	}
	w := open(t)
	tsv(t, w, `INSERT INTO {db}.raw_counts SELECT xxHash64('melbourne-' || SensorID), toDateTime64(parseDateTime(Date, '%d-%b-%Y', 'UTC'), 3, 'UTC') + toIntervalHour(Hour - 9), 0,
		row_number() OVER (PARTITION BY xxHash64('melbourne-' || SensorID) % 4 ORDER BY n), toUInt32(PedestrianCount), 0, 3600
		FROM (SELECT rowNumberInAllBlocks() AS n, * FROM file('`+file+`', 'CSVWithNames', 'Date String, Day_of_week String, Hour UInt8, SensorID String, SensorName String, PedestrianCount String'))
		WHERE PedestrianCount != 'NaN' AND SensorID != 'NaN' SETTINGS max_threads = 1`)
	tsv(t, w, "OPTIMIZE TABLE {db}.raw_counts FINAL")
	if got := tsv(t, w, "SELECT count(), sum(`in`) FROM {db}.raw_counts"); got != "656807\t411015312" {
		t.Fatalf("the table holds %s", got)
	}
	size, err := strconv.ParseFloat(tsv(t, w, "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND database = '{db}' AND table = 'raw_counts'"), 64)
	if err != nil || size > atRest {
		t.Errorf("a reading takes %.2f bytes, %v; want %g at most", size, err, atRest)
	}
	t.Logf("a reading takes %.2f bytes", size)
}
