package recording

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// realData returns the path of a recorded file that is not part of the product.
func realData(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped: the recorded measurements %s are not here", name)
	}
	return path
}

// tally is what a whole file adds up to.
type tally struct {
	rows, bad, gaps int
	in, out         int64
	devices         int
}

// good says whether ingestion can take a message, and gives its counts. It looks
// for the members as they are written, since a million rows are to be read.
func good(value []byte) (in, out int64, ok bool) {
	in, okIn := member0(value, `"in":`)
	out, okOut := member0(value, `"out":`)
	named := !bytes.Contains(value, []byte(`"device":null`)) && !bytes.Contains(value, []byte(`"ts":null`))
	return in, out, okIn && okOut && named
}

// member0 returns the whole number of a member; 0 when there is no such member.
func member0(value []byte, name string) (int64, bool) {
	_, rest, there := bytes.Cut(value, []byte(name))
	if !there {
		return 0, true
	}
	n, err := strconv.ParseInt(string(rest[:bytes.IndexAny(rest, ",}")]), 10, 64)
	return n, err == nil
}

func sum(t *testing.T, path string, o Options) tally {
	t.Helper()
	r, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got tally
	devices := map[string]bool{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got.rows++
		in, out, ok := good(row.Value)
		if row.Note != "" && row.Device != "" {
			got.gaps++
			ok = false
		}
		if !ok {
			got.bad++
			continue
		}
		devices[row.Device] = true
		got.in += in
		got.out += out
	}
	got.devices = len(devices)
	if p := r.Progress(); p.Bytes != p.Total || p.Rows < int64(got.rows) {
		t.Errorf("progress at the end: got %+v, want all bytes and at least %d rows", p, got.rows)
	}
	return got
}

func TestRealFilesAddUp(t *testing.T) {
	melbourne := Options{Columns: "device=SensorID,in=PedestrianCount,ts=Date+Hour", TimeFormat: "02-Jan-2006 15", Interval: 3600}
	fixed, local := melbourne, melbourne
	fixed.Zone, local.Zone = "+10:00", "Australia/Melbourne"
	for _, tt := range []struct {
		name, file string
		options    Options
		want       tally
	}{
		{"Melbourne has 16 bad values", "melbourne_pedestrian/pedestriancounts_melbourne_2012_2016.csv.gz", fixed,
			tally{rows: 656823, bad: 16, in: 411015357 - 45, devices: 39}},
		{"Melbourne in its own zone has 18 times that did not exist", "melbourne_pedestrian/pedestriancounts_melbourne_2012_2016.csv.gz", local,
			tally{rows: 656823, bad: 34, gaps: 18, in: 411013431, devices: 39}},
		{"CalIt2 joins the two flows of its door", "uci_calit2/CalIt2.data", Options{
			Columns: "device='CalIt2',flow=1,ts=2+3,count=4", NoHeader: true, Flows: "9=in,7=out",
			TimeFormat: "01/02/06 15:04:05", Zone: "America/Los_Angeles", Interval: 1800},
			tally{rows: 5040, in: 19597, out: 18837, devices: 1}},
		{"Seattle channel by channel", "seattle_counters/seattle_counters_hourly.csv.gz", Options{
			Columns: "device=counter+channel,ts=ts_local,in=count", Zone: "America/Los_Angeles", Interval: 3600, Stamps: "start"},
			tally{rows: 516802, bad: 24, gaps: 24, in: 7259935, devices: 17}},
		{"Fremont repeats the hour each November", "seattle_counters/FremontBridge.csv.gz", Options{
			Columns: "device='Fremont',ts=Date,in=Fremont Bridge West Sidewalk,out=Fremont Bridge East Sidewalk", TimeFormat: "01/02/2006 03:04:05 PM",
			Zone: "America/Los_Angeles", Interval: 3600, Stamps: "start"},
			tally{rows: 26232, bad: 7, in: 1529197, out: 1405809, devices: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := sum(t, realData(t, tt.file), tt.options)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
