package analyzer

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

// counter gathers the hours of a counter with two directions.
type counter struct {
	zone  *time.Location
	flows map[time.Time]*[2]uint32
	first time.Time
}

func (c *counter) add(layout, stamp string, flow int, count string) {
	start, err := time.ParseInLocation(layout, stamp, c.zone)
	n, errCount := strconv.Atoi(strings.TrimSuffix(count, ".0"))
	if err != nil || errCount != nil {
		return // an hour without a number
	}
	if c.first.IsZero() || start.Before(c.first) {
		c.first = start
	}
	end := start.Add(time.Hour).UTC()
	if c.flows[end] == nil {
		c.flows[end] = &[2]uint32{}
	}
	c.flows[end][flow] = uint32(n)
}

// rows reads a zipped CSV file.
func rows(t testing.TB, parts ...string) [][]string {
	t.Helper()
	zipped, err := gzip.NewReader(openData(t, parts...))
	if err != nil {
		t.Fatal(err)
	}
	in, all := csv.NewReader(zipped), [][]string{}
	in.FieldsPerRecord = -1
	for {
		row, err := in.Read()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
}

// fleetOf makes a fleet of counters, each on a site of its own.
func fleetOf(t testing.TB, counters map[string]*counter) (*Fleet, *telemetry.Batch) {
	b := &telemetry.Batch{}
	var sites []telemetry.Site
	var devices []telemetry.Device
	for name, c := range counters {
		for end, f := range c.flows {
			addCount(b, name, end, end, f[0], f[1])
		}
		sites = append(sites, telemetry.Site{ID: name, Zone: c.zone.String(), Labels: outdoor})
		devices = append(devices, telemetry.Device{Name: name, Site: name, ReadingEvery: 3600, InServiceSince: c.first})
	}
	return mustFleet(t, sites, devices), b
}

func pacific(t testing.TB) *time.Location {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// fremont reads the counter of the Fremont bridge.
func fremont(t testing.TB) (*Fleet, *telemetry.Batch) {
	c := &counter{zone: pacific(t), flows: map[time.Time]*[2]uint32{}}
	for _, row := range rows(t, "seattle_counters", "FremontBridge.csv.gz")[1:] {
		c.add("01/02/2006 03:04:05 PM", row[0], 0, row[1])
		c.add("01/02/2006 03:04:05 PM", row[0], 1, row[2])
	}
	return fleetOf(t, map[string]*counter{"fremont": c})
}

var vendorChannels = map[string]struct {
	counter string
	flow    int
}{
	"2nd-ave-nb": {"2nd-ave", 0}, "2nd-ave-sb": {"2nd-ave", 1}, "fremont-nb-not-nb": {"fremont", 0}, "fremont-sb-not-sb": {"fremont", 1},
	"spokane-east": {"spokane-st", 0}, "spokane-west": {"spokane-st", 1},
}

// vendor reads what the maker of Seattle's counters gave for the same hours: the faults
// of the city's portal are not in it.
func vendor(t testing.TB) (*Fleet, *telemetry.Batch) {
	counters := map[string]*counter{}
	for _, row := range rows(t, "seattle_counters", "vendor_api_check_hourly.csv.gz")[1:] {
		channel, ok := vendorChannels[row[0]]
		if !ok {
			t.Fatalf("the channel %q is not known", row[0])
		}
		name, flow := channel.counter, channel.flow
		if counters[name] == nil {
			counters[name] = &counter{zone: pacific(t), flows: map[time.Time]*[2]uint32{}}
		}
		counters[name].add("2006-01-02 15:04:05.0", row[1], flow, row[2])
	}
	return fleetOf(t, counters)
}

// TestTheVendorsDataAreWell is the other side of TestKnownFaultsAreFound: where the
// city's portal has its faults, the same counter's own data have none.
func TestTheVendorsDataAreWell(t *testing.T) {
	fleet, batch := vendor(t)
	for _, c := range []struct{ rule, from, to string }{
		{"direction-swapped", "2017-05-15 00:00", "2017-09-15 00:00"},
		{"one-direction-dead", "2016-10-25 00:00", "2016-12-10 00:00"},
		{"zero-in-opening-hours", "2016-10-25 00:00", "2016-11-24 00:00"}, // on Thanksgiving nobody rode for hours
	} {
		report, err := Backtest(t.Context(), BacktestConfig{Rules: shipped(t, c.rule), Fleet: fleet, Load: loadBatch(batch), From: utc(t, c.from), To: utc(t, c.to)})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(report.Findings, func(f telemetry.Finding) bool { return f.Scope.Name == "2nd-ave" }); i >= 0 {
			t.Errorf("%s fires on the vendor's data of 2nd-ave at %s", c.rule, report.Findings[i].At)
		}
	}
}

// holidays are the public holidays of Victoria from the spring of 2012 on.
var holidays = strings.Fields(`2012-03-12 2012-04-06 2012-04-09 2012-04-25 2012-06-11 2012-11-06 2012-12-25 2012-12-26
	2013-01-01 2013-01-28 2013-03-11 2013-03-29 2013-04-01 2013-04-25 2013-06-10 2013-11-05 2013-12-25 2013-12-26
	2014-01-01 2014-01-27 2014-03-10 2014-04-18 2014-04-21 2014-04-25 2014-06-09 2014-11-04 2014-12-25 2014-12-26
	2015-01-01 2015-01-26`)

// TestMelbournesHolidaysAreGroupEvents looks at Good Friday and Anzac Day of 2013: the
// site has one finding, of the default set the sensors have none, and of the rules on
// what is usual most of them have none either.
func TestMelbournesHolidaysAreGroupEvents(t *testing.T) {
	fleet, batch := melbourne(t)
	rules := shipped(t, append([]string{"group-event", "spike", "drop", "peer-outlier"}, defaultRules...)...)
	zone := oneZone(fleet)("")
	for _, day := range []string{"2013-03-29", "2013-04-25"} {
		start, err := time.ParseInLocation(time.DateOnly, day, zone)
		if err != nil {
			t.Fatal(err)
		}
		report, err := Backtest(t.Context(), BacktestConfig{Rules: rules, Fleet: fleet, Load: loadBatch(batch), From: start.Add(-12 * time.Hour).UTC(), To: start.AddDate(0, 0, 1).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		events, others := onDay(report, day, zone)
		own := slices.DeleteFunc(slices.Clone(others), func(f string) bool { return !slices.Contains(defaultRules, strings.Fields(f)[0]) })
		if events != 1 || len(own) > 0 || len(others) > len(fleet.Devices)/4 {
			t.Errorf("%s: %d group events, and by themselves %v; want one event, none of the default set, and few beside it", day, events, others)
		}
	}
}

// onDay counts the group events that hold on a local day, and lists what began to fire
// then for sensors.
func onDay(r *Report, day string, zone *time.Location) (events int, others []string) {
	for _, h := range r.Hits {
		if h.Rule == "group-event" && h.Day == day {
			events++
		}
	}
	for _, f := range r.Findings {
		if f.Scope.Level == telemetry.LevelDevice && f.Condition == telemetry.Firing && f.Reason == "" && f.At.In(zone).Format(time.DateOnly) == day {
			others = append(others, f.Rule+" "+f.Scope.Name)
		}
	}
	return events, others
}
