package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/dashboards"
)

// sent is what the simulated devices sent, added up from their own file and not
// from the warehouse.
type sent struct {
	devices []sentDevice
	days    map[string]*sentDay // by "site date"
	zones   map[string]*time.Location
	hours   map[siteHour]sentHour
}

type sentDevice struct {
	name, site, model, firmware string
	heard                       time.Time
	readings                    int // within the time shown
	complete                    float64
	incidents, fired            float64 // opened within the time shown
}

// sentDay is a business day of a site.
type sentDay struct {
	site, date string
	in, out    int
	over       bool // by the end of the time shown
}

type siteHour struct {
	site string
	unix int64 // its beginning
}

type sentHour struct{ net, readings int }

func (d *sentDay) discrepancy() float64 {
	return tenth(100 * math.Abs(float64(d.in-d.out)) / float64(max(d.in, d.out, 1)))
}

// shown is the discrepancy of a day that is over.
func (d *sentDay) shown() string {
	if !d.over {
		return `\N`
	}
	return fmt.Sprint(d.discrepancy())
}

// tenth rounds as the engine does.
func tenth(v float64) float64 { return math.RoundToEven(v*10) / 10 }

// sum reads the file of readings; of those of one time the last one counts.
func (p *program) sum(simulated string, shown dashboards.Shown) *sent {
	p.t.Helper()
	s := &sent{days: map[string]*sentDay{}, zones: map[string]*time.Location{}, hours: map[siteHour]sentHour{}}
	closed, place := map[string]bool{}, map[string]int{}
	for _, site := range p.list("/api/v1/sites?limit=500") {
		zone, err := time.LoadLocation(site["zone"].(string))
		if err != nil {
			p.t.Fatal(err)
		}
		s.zones[site["id"].(string)] = zone
		closed[site["id"].(string)] = site["status"] == "closed"
	}
	for _, d := range p.list("/api/v1/devices?limit=500") {
		place[d["name"].(string)] = len(s.devices)
		s.devices = append(s.devices, sentDevice{name: d["name"].(string), site: d["site"].(string), model: d["labels"].(map[string]any)["model"].(string)})
	}
	type key struct {
		device int
		ts     int64
	}
	counts, beats := map[key][2]int{}, map[int]time.Time{}
	file, err := os.Open(filepath.Join(simulated, "readings.ndjson"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r struct {
			Device, Kind, FW string
			TS, Arrival      time.Time
			In, Out          int
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			p.t.Fatal(err)
		}
		n := place[r.Device]
		d := &s.devices[n]
		d.heard = latest(d.heard, r.Arrival)
		if r.Kind != "heartbeat" {
			counts[key{n, r.TS.UnixMilli()}] = [2]int{r.In, r.Out} // the file is in the order of arrival
		} else if !r.TS.Before(beats[n]) && !r.TS.After(shown.To) {
			beats[n], d.firmware = r.TS, r.FW
		}
	}
	for k, v := range counts {
		d, within := &s.devices[k.device], time.UnixMilli(k.ts-1).UTC()
		if hour := within.Truncate(time.Hour); !hour.Before(shown.From) && !hour.After(shown.To) {
			d.readings++
		}
		h := siteHour{d.site, within.Truncate(time.Hour).Unix()}
		s.hours[h] = sentHour{s.hours[h].net + v[0] - v[1], s.hours[h].readings + 1}
		date := within.In(s.zones[d.site]).Format(time.DateOnly)
		day := s.days[d.site+" "+date]
		if day == nil {
			day = &sentDay{site: d.site, date: date, over: date < shown.To.In(s.zones[d.site]).Format(time.DateOnly)}
			s.days[d.site+" "+date] = day
		}
		day.in, day.out = day.in+v[0], day.out+v[1]
	}
	s.devices = slices.DeleteFunc(s.devices, func(d sentDevice) bool { return closed[d.site] }) // nobody expects them to speak
	due := shown.To.Sub(shown.From).Seconds() / (15 * 60)
	for i := range s.devices {
		s.devices[i].complete = 100 * float64(s.devices[i].readings) / due
	}
	return s
}

// counted holds what panels show against what the devices sent.
func (p *program) counted(t *testing.T, simulated string, shown dashboards.Shown) {
	t.Helper()
	shown.From, shown.To = shown.From.Truncate(time.Second), shown.To.Truncate(time.Second)
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	s := p.sum(simulated, shown)
	s.faulty(t, simulated, shown)
	noisy := map[string]int{}
	incidents := p.list("/api/v1/incidents?limit=500")
	for _, inc := range incidents {
		if i := slices.IndexFunc(s.devices, func(d sentDevice) bool { return d.name == inc["device"] }); i >= 0 {
			if inc["rule"] != nil && inc["rule"] != "" {
				noisy[s.devices[i].name]++
			}
			s.devices[i].incidents++
			s.devices[i].fired += inc["occurrences"].(float64)
		}
	}
	for panel, want := range map[string]struct {
		columns string
		rows    []string
	}{
		"site: IN and OUT by business day":       {"site, day, IN, OUT, discrepancy", s.businessDays(shown)},
		"fleet: Sites where IN and OUT disagree": {"discrepancy", s.worstDays(shown)},
		"site: Completeness by device": {"device, site, readings, complete", s.each(func(d sentDevice) string {
			return fmt.Sprint(d.name, "\t", d.site, "\t", d.readings, "\t", tenth(d.complete))
		})},
		"site: People inside":                 {"time, inside", s.inside(shown)},
		"fleet: Completeness by site":         {"time, site, complete", s.quarters(shown)},
		"fleet: Worst devices":                {`device, incidents, "times fired", complete`, s.worst()},
		"fleet: Alive and silent by site":     {"site, alive, silent", s.alive(shown, func(d sentDevice) string { return d.site })},
		"fleet: Alive and silent by model":    {"model, alive, silent", s.alive(shown, func(d sentDevice) string { return d.model })},
		"fleet: Alive and silent by firmware": {"firmware, alive, silent", s.alive(shown, func(d sentDevice) string { return cmp.Or(d.firmware, "not known") })},
		"fleet: Noisy devices":                {"device, incidents", tally(noisy)},
		"incidents: Opened per hour":          {"time, origin, opened", perHour(incidents, "opened_at", func(inc map[string]any) any { return inc["origin"] })},
		"incidents: Resolved per hour": {"time, resolution, resolved", perHour(incidents, "resolved_at", func(inc map[string]any) any {
			return inc["resolution"].(map[string]any)["code"]
		})},
		"incidents: Time to first response": {`time, "nine in ten", half`, waited(incidents, "first_response_at")},
		"incidents: Time to resolve":        {`time, "nine in ten", half`, waited(incidents, "resolved_at")},
	} {
		i := slices.IndexFunc(queries, func(q dashboards.Query) bool { return q.Dashboard+": "+q.Panel == panel })
		if i < 0 {
			t.Errorf("there is no panel %s", panel)
			continue
		}
		got := strings.Split(p.answer("SELECT "+want.columns+" FROM ("+queries[i].Expand(shown)+")"), "\n")
		slices.Sort(got)
		slices.Sort(want.rows)
		if !slices.Equal(got, want.rows) {
			t.Errorf("%s shows\n%s\nwant\n%s", panel, strings.Join(got, "\n"), strings.Join(want.rows, "\n"))
		}
	}
}

// perHour counts incidents by the hour of one of their times, and by something else.
func perHour(incidents []map[string]any, field string, by func(map[string]any) any) []string {
	counts := map[string]int{}
	for _, inc := range incidents {
		if at, ok := moment(inc, field); ok {
			counts[fmt.Sprint(at.Truncate(time.Hour).Format(time.DateTime), "\t", by(inc))]++
		}
	}
	return tally(counts)
}

// waited takes, of the seconds from opening to another time, the one that nine in
// ten and the one that half of each day's incidents do not pass.
func waited(incidents []map[string]any, field string) (rows []string) {
	days := map[string][]float64{}
	for _, inc := range incidents {
		opened, _ := moment(inc, "opened_at")
		if at, ok := moment(inc, field); ok {
			day := at.Truncate(24 * time.Hour).Format(time.DateTime)
			days[day] = append(days[day], float64(at.Sub(opened).Milliseconds())/1000)
		}
	}
	for day, seconds := range days {
		slices.Sort(seconds)
		rows = append(rows, fmt.Sprint(day, "\t", seconds[len(seconds)*9/10], "\t", seconds[len(seconds)/2]))
	}
	return rows
}

// moment is one of an incident's times, if it has come.
func moment(inc map[string]any, field string) (time.Time, bool) {
	text, _ := inc[field].(string)
	at, err := time.Parse(time.RFC3339, text)
	return at.UTC(), err == nil
}

// faulty holds that the file shows what its devices are known to ail from: the
// sums would else be right of a fleet without faults too.
func (s *sent) faulty(t *testing.T, simulated string, shown dashboards.Shown) {
	t.Helper()
	file, err := os.Open(filepath.Join(simulated, "faults.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	faults, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	whole := slices.MaxFunc(s.devices, func(a, b sentDevice) int { return cmp.Compare(a.readings, b.readings) }).readings
	gaps, apart := 0, 0
	for _, fault := range faults[1:] {
		from, to, kind := mustTime(t, fault[2]), mustTime(t, fault[3]), fault[4]
		for _, d := range s.devices {
			silent := kind == "offline" || kind == "powered_not_counting"
			if silent && d.name == fault[1] && from.After(shown.From) && to.Before(shown.To) {
				gaps++
				if lacks := int(to.Sub(from) / (15 * time.Minute)); d.readings != whole-lacks {
					t.Errorf("%s (%s) has %d readings, want %d less than %d", d.name, kind, d.readings, lacks, whole)
				}
			}
		}
		for _, d := range s.days {
			first := from.AddDate(0, 0, 1).Format(time.DateOnly) // whole days, in any zone
			if kind == "in_out_discrepancy" && d.site == fault[1] && d.date > first && d.date < to.AddDate(0, 0, -1).Format(time.DateOnly) {
				if apart++; d.discrepancy() < 30 {
					t.Errorf("%s on %s: IN %d, OUT %d; want them apart", d.site, d.date, d.in, d.out)
				}
			}
		}
	}
	if gaps == 0 || apart == 0 {
		t.Errorf("%d devices with a gap, %d days of sites whose IN and OUT disagree; want some of both", gaps, apart)
	}
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func tally(counts map[string]int) (rows []string) {
	for name, n := range counts {
		rows = append(rows, fmt.Sprint(name, "\t", n))
	}
	return rows
}

func (s *sent) each(row func(sentDevice) string) (rows []string) {
	for _, d := range s.devices {
		rows = append(rows, row(d))
	}
	return rows
}

func (s *sent) businessDays(shown dashboards.Shown) (rows []string) {
	for _, d := range s.days {
		if d.date >= shown.From.Format(time.DateOnly) && d.date <= shown.To.Format(time.DateOnly) {
			rows = append(rows, fmt.Sprint(d.site, "\t", d.date, "\t", d.in, "\t", d.out, "\t", d.shown()))
		}
	}
	return rows
}

// worstDays are the twenty largest discrepancies of the last week.
func (s *sent) worstDays(shown dashboards.Shown) (rows []string) {
	var all []float64
	for _, d := range s.days {
		if d.date >= shown.To.AddDate(0, 0, -7).Format(time.DateOnly) && d.over && d.in+d.out >= 200 {
			all = append(all, d.discrepancy())
		}
	}
	slices.SortFunc(all, func(a, b float64) int { return cmp.Compare(b, a) })
	for _, v := range all[:min(20, len(all))] {
		rows = append(rows, fmt.Sprint(v))
	}
	return rows
}

// inside adds IN less OUT up, at each site from the beginning of its day on.
func (s *sent) inside(shown dashboards.Shown) (rows []string) {
	sums := map[int64]int{}
	for site, zone := range s.zones {
		sum, day := 0, ""
		for at := shown.From.Add(-26 * time.Hour).Truncate(time.Hour); !at.After(shown.To); at = at.Add(time.Hour) {
			if today := at.In(zone).Format(time.DateOnly); today != day {
				sum, day = 0, today
			}
			hour, is := s.hours[siteHour{site, at.Unix()}]
			sum += hour.net
			if end := at.Add(time.Hour); is && !end.Before(shown.From) {
				sums[end.Unix()] += sum
			}
		}
	}
	for at, sum := range sums {
		rows = append(rows, fmt.Sprint(time.Unix(at, 0).UTC().Format(time.DateTime), "\t", sum))
	}
	return rows
}

// quarters are the whole quarters of days of sites, also those without a reading.
func (s *sent) quarters(shown dashboards.Shown) (rows []string) {
	devices := map[string]int{}
	for _, d := range s.devices {
		devices[d.site]++
	}
	const quarter = 6 * time.Hour
	for at := shown.From.Truncate(quarter); at.Before(shown.To.Truncate(quarter)); at = at.Add(quarter) {
		for site, n := range devices {
			readings := 0
			for hour := at; hour.Before(at.Add(quarter)); hour = hour.Add(time.Hour) {
				readings += s.hours[siteHour{site, hour.Unix()}].readings
			}
			rows = append(rows, fmt.Sprint(at.UTC().Format(time.DateTime), "\t", site, "\t", tenth(min(100, 100*float64(readings)/float64(24*n)))))
		}
	}
	return rows
}

func (s *sent) worst() []string {
	return s.each(func(d sentDevice) string {
		return fmt.Sprint(d.name, "\t", d.incidents, "\t", d.fired, "\t", tenth(min(100, d.complete)))
	})
}

// alive counts devices of a kind by whether they were heard of in the last hour.
func (s *sent) alive(shown dashboards.Shown, kind func(sentDevice) string) (rows []string) {
	all, alive := map[string]int{}, map[string]int{}
	for _, d := range s.devices {
		k := kind(d)
		if all[k]++; d.heard.After(shown.To.Add(-time.Hour)) {
			alive[k]++
		}
	}
	for k, n := range all {
		rows = append(rows, fmt.Sprint(k, "\t", alive[k], "\t", n-alive[k]))
	}
	return rows
}
