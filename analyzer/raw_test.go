package analyzer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

const rawRules = `
rules:
  - { name: shares, scope: site, every: 1h, category: x, query: "SELECT 1 WHERE {at:DateTime} > {most:Float64}", when: value() > most, params: { most: 50% } }
  - { name: offline, scope: device, when: silence() > 2h, every: 1h, category: suspected_offline }
`

// asked is a world whose rules' queries are answered by rows.
func asked(t *testing.T, rules string, sites []telemetry.Site, devices []telemetry.Device, rows func(q Raw) ([]RawRow, error)) *world {
	w := newWorld(t, rules, sites, devices)
	w.config.Raw = func(_ context.Context, q Raw) ([]RawRow, error) { return rows(q) }
	w.config.Health = true
	w.restart()
	return w
}

func TestAQueryIsJoinedToTheScopesByName(t *testing.T) {
	at := time.Date(2026, 3, 27, 11, 0, 0, 0, time.UTC)
	sites := []telemetry.Site{{ID: "a", Zone: "UTC", Status: telemetry.SiteOpen}, {ID: "b", Zone: "UTC", Status: telemetry.SiteOpen}, {ID: "c", Zone: "UTC", Status: telemetry.SiteOpen}}
	devices := []telemetry.Device{{Name: "d1", Site: "a", Status: telemetry.DeviceActive}, {Name: "d2", Site: "b", Status: telemetry.DeviceActive}, {Name: "d3", Site: "c", Status: telemetry.DeviceActive}}
	rows := []RawRow{{"b", 0.9}, {"a", 0.1}, {"c", math.Inf(1)}}
	var fail error
	var last Raw
	w := asked(t, rawRules, sites, devices, func(q Raw) ([]RawRow, error) { last = q; return rows, fail })

	w.expect(at, "firing b")
	if got := fmt.Sprint(last.Params); got != "map[as_of:2026-03-27 11:00:00 at:2026-03-27 11:00:00 most:0.5]" {
		t.Errorf("asked with %s", got)
	}
	rows = []RawRow{{"c", 0.9}, {"b", math.NaN()}} // nothing is known of a, and of b
	w.expect(at.Add(time.Hour), "firing c")
	rows, fail = nil, errors.New("the engine is away")
	w.expect(at.Add(2 * time.Hour))
	fail = nil
	rows = []RawRow{{"a", 0}, {"b", 0}, {"c", 0}, {"b", 0.9}} // twice: not to be believed
	w.expect(at.Add(3*time.Hour), "firing shares")
	rows = rows[:3]
	w.expect(at.Add(4*time.Hour), "clear b", "clear c", "clear shares")

	rows = []RawRow{{"a", 0}, {"b", 0}, {"c", 0}, {"nowhere", 0.9}}
	w.expect(at.Add(5 * time.Hour))
	if err := w.analyzer.Evaluate(t.Context(), at.Add(6*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 1 || !strings.Contains(w.said[0].Summary, `tells of what the registry does not have: 1 rows, such as site "nowhere"`) {
		t.Errorf("of a scope that is not there is said %+v", w.said)
	}
}

func TestAQueryAboutADayIsAskedForEachDayThatIsJudged(t *testing.T) {
	sites := []telemetry.Site{{ID: "lisbon", Zone: "Europe/Lisbon", Status: telemetry.SiteOpen}, {ID: "london", Zone: "Europe/London", Status: telemetry.SiteOpen}, {ID: "paris", Zone: "Europe/Paris", Status: telemetry.SiteOpen}}
	var devices []telemetry.Device
	for _, s := range sites {
		devices = append(devices, telemetry.Device{Name: "door-" + s.ID, Site: s.ID, Status: telemetry.DeviceActive})
	}
	var days []string
	w := asked(t, `rules: [{ name: days, scope: site, at: midnight, category: x, query: "SELECT {from:DateTime} {to:DateTime} {day:Date}", when: value() > 0 }]`, sites, devices,
		func(q Raw) ([]RawRow, error) {
			days = append(days, q.Params["day"]+" "+q.Params["from"]+" "+q.Params["to"])
			return []RawRow{{"lisbon", 1}, {"london", 1}, {"paris", 1}}, nil
		})
	// The clocks go forward on the 29th, at 1:00 UTC, so that Paris is an hour ahead and
	// its day of 23 hours ends at 22:00.
	w.config.Start = utc(t, "2026-03-29 12:00")
	w.restart()
	w.expect(utc(t, "2026-03-29 22:30"), "firing paris")
	w.expect(utc(t, "2026-03-29 23:30"), "firing lisbon", "firing london")
	want := []string{"2026-03-29 2026-03-28 23:00:00 2026-03-29 22:00:00", "2026-03-29 2026-03-29 00:00:00 2026-03-29 23:00:00"}
	if fmt.Sprint(days) != fmt.Sprint(want) {
		t.Errorf("asked about %q; want %q", days, want)
	}
}
