package page

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
)

// weekOfBeats are four heartbeats in each hour of a week but for a day's silence,
// at first without a signal.
func weekOfBeats(from time.Time) Vitals {
	v := Vitals{Last: noon.Add(-time.Minute), Firmware: "5.<2>", Temp: 41.25, Signal: -67}
	for i := range 7 * 24 {
		if i/24 == 3 {
			continue
		}
		h := VitalHour{Start: from.Add(time.Duration(i) * time.Hour), Beats: 4, Temp: 20 + float64(i%24), Signal: math.NaN()}
		if i > 100 {
			h.Signal = -70 + float64(i%5)
		}
		v.Hours = append(v.Hours, h)
	}
	return v
}

func TestADevicesPageShowsWhatItSaysOfItself(t *testing.T) {
	f, _ := twoSites(t)
	status, body, _ := get(t, f, incidents.Token{ID: "c", Name: "noc", Role: incidents.NOC}, "/devices/counter-paris")
	if status != 200 {
		t.Fatalf("got %d: %s", status, body)
	}
	for _, want := range []string{"firmware 5.&lt;2&gt;", "<strong>41.3 °C</strong>", "<strong>−67 dBm</strong>", "<strong>4</strong>",
		"Heartbeats by hour over 7 days: between 0 and 4, last 4.", "Temperature over 7 days: between 20 °C and 43 °C, last 41.3 °C.",
		"Signal over 7 days: between −70 dBm and −66 dBm, last −67 dBm."} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	_, after, _ := strings.Cut(body, `aria-label="Temperature`)
	drawing, _, _ := strings.Cut(after, "</svg>")
	if _, line, _ := strings.Cut(drawing, `class="counted"`); strings.Count(line, "M") != 2 || strings.Contains(drawing, "NaN") {
		t.Errorf("want a line in two pieces around the silence: %s", drawing)
	}
}

func TestADeviceWithoutHeartbeatsSaysSo(t *testing.T) {
	f, _ := twoSites(t)
	for want, vitals := range map[string]func(context.Context, string, time.Time, time.Time) (Vitals, error){
		"It has sent no heartbeats": func(context.Context, string, time.Time, time.Time) (Vitals, error) { return Vitals{}, nil },
		"People by hour": func(context.Context, string, time.Time, time.Time) (Vitals, error) {
			return Vitals{}, errors.New("away")
		},
		"Open incidents": nil,
	} {
		f.Vitals = vitals
		status, body, _ := get(t, f, incidents.Token{ID: "c", Name: "noc", Role: incidents.NOC}, "/devices/counter-paris")
		if status != 200 || !strings.Contains(body, want) || strings.Contains(body, "Temperature") {
			t.Errorf("got %d, want %q and no temperature: %s", status, want, body)
		}
	}
}
