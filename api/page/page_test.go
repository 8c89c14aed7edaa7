package page

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// twoSites is a fleet of a shop in Paris and one in Rome, each with a device and
// an open incident.
func twoSites(t *testing.T) (f Fleet, refs map[string]string) {
	t.Helper()
	ctx := context.Background()
	tickets, err := store.Open(ctx, filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tickets.Close() })
	desk := incidents.NewDesk(tickets, incidents.Config{}, nil, nil)
	refs = map[string]string{}
	for _, city := range []string{"Paris", "Rome"} {
		id := strings.ToLower(city)
		site := telemetry.Site{ID: id, Name: "Shop " + city, Zone: "Europe/" + city, Status: telemetry.SiteOpen}
		device := telemetry.Device{Name: "counter-" + id, Site: id, Status: telemetry.DeviceActive}
		if err := tickets.Import(ctx, []telemetry.Site{site}, []telemetry.Device{device}); err != nil {
			t.Fatal(err)
		}
		inc, err := desk.Report(ctx, incidents.NewReport{Summary: "door of " + city + " <b>squeaks</b>", Category: "user_report/other", Site: id, Device: device.Name},
			incidents.Actor{Name: "anna", Role: incidents.FirstLine, Source: incidents.ByAPI}, noon)
		if err != nil {
			t.Fatal(err)
		}
		refs[id] = inc.Ref
	}
	return Fleet{Desk: desk, Registry: tickets, Now: func() time.Time { return noon },
		Health: func(_ context.Context, site string, _ time.Time) ([]Health, error) {
			all := []Health{{"paris", 4, 1, 0}, {"rome", 2, 2, 2}}
			if site != "" {
				return all[:1], nil
			}
			return all, nil
		},
		Heard: func(context.Context, string, string) (map[string]time.Time, error) {
			return map[string]time.Time{"counter-paris": noon.Add(-time.Minute)}, nil
		},
		Hours:  func(context.Context, telemetry.Device, telemetry.Site, time.Time) ([]Hour, error) { return week(), nil },
		Vitals: func(_ context.Context, _ string, from, _ time.Time) (Vitals, error) { return weekOfBeats(from), nil },
	}, refs
}

// week is seven days of hours: what is usual by day, half of it on the last day,
// and a day without readings.
func week() (hours []Hour) {
	for i := range 7 * 24 {
		h := Hour{End: noon.Add(time.Duration(i+1-7*24) * time.Hour), Known: i/24 != 3, In: 10, Out: 10, Usual: 20, Spread: 2}
		if i < 12 {
			h.Usual, h.Spread = math.NaN(), math.NaN()
		}
		if i >= 6*24 {
			h.In, h.Out = 5, 5
		}
		hours = append(hours, h)
	}
	return hours
}

func get(t *testing.T, f Fleet, token incidents.Token, path string) (int, string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	New(f).For(token).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String(), w.Header()
}

func TestWhatATokenMayNotSeeIsNotThere(t *testing.T) {
	f, refs := twoSites(t)
	manager := incidents.Token{ID: "a", Name: "Paris", Role: incidents.SiteManager, Site: "paris"}
	supplier := incidents.Token{ID: "b", Name: "vendor", Role: incidents.ThirdLine}
	noc := incidents.Token{ID: "c", Name: "noc", Role: incidents.NOC}
	device := incidents.Token{ID: "d", Name: "counter", Role: incidents.DeviceRole}
	for _, c := range []struct {
		who  incidents.Token
		path string
		want int
	}{
		{noc, "/", 200}, {noc, "/sites/rome", 200}, {noc, "/devices/counter-rome", 200}, {noc, "/incidents", 200}, {noc, "/incidents/" + refs["rome"], 200},
		{manager, "/", 200}, {manager, "/sites/paris", 200}, {manager, "/devices/counter-paris", 200}, {manager, "/incidents/" + refs["paris"], 200},
		{manager, "/sites/rome", 404}, {manager, "/devices/counter-rome", 404}, {manager, "/incidents/" + refs["rome"], 404},
		{supplier, "/", 303}, {supplier, "/incidents", 200}, {supplier, "/sites/paris", 404}, {supplier, "/devices/counter-paris", 404}, {supplier, "/incidents/" + refs["paris"], 404},
		{device, "/", 404}, {device, "/incidents", 404}, {device, "/sites/paris", 404},
		{noc, "/sites/atlantis", 404}, {noc, "/devices/none", 404}, {noc, "/incidents/INC-9", 404},
	} {
		code, body, _ := get(t, f, c.who, c.path)
		if code != c.want {
			t.Errorf("%s asks for %s: got %d, want %d", c.who.Role, c.path, code, c.want)
		}
		if c.who.Site == "paris" && strings.Contains(strings.ToLower(body), "rome") {
			t.Errorf("%s: a manager of Paris reads of Rome: %s", c.path, body)
		}
		if c.want == 404 {
			if _, unknown, _ := get(t, f, c.who, c.path[:strings.LastIndex(c.path, "/")+1]+"no-such-thing"); c.path != "/" && c.path != "/incidents" && unknown != body {
				t.Errorf("%s asks for %s: what is hidden differs from what is not there", c.who.Role, c.path)
			}
		}
	}
}

func TestNothingInAPageIsScriptAndNamesAreText(t *testing.T) {
	f, refs := twoSites(t)
	noc := incidents.Token{ID: "c", Name: `<i>"noc`, Role: incidents.NOC}
	for _, path := range []string{"/", "/?q=%22%3E%3Cscript%3E", "/sites/paris", "/devices/counter-paris", "/incidents?q=%3Cscript%3E&state=any", "/incidents/" + refs["paris"], "/incidents/x"} {
		_, body, header := get(t, f, noc, path)
		for _, bad := range []string{"<b>squeaks", "<i>", "<script>", "style=", "onclick", "javascript:"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %s: %s", path, bad, body)
			}
		}
		if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
}

func TestThePageSaysWhatItCannotKnow(t *testing.T) {
	f, _ := twoSites(t)
	f.Health = func(context.Context, string, time.Time) ([]Health, error) {
		return nil, errors.New("the warehouse is away")
	}
	f.Heard, f.Hours = nil, nil
	noc := incidents.Token{ID: "c", Role: incidents.NOC}
	code, body, _ := get(t, f, noc, "/")
	if code != 200 || !strings.Contains(body, "can&#39;t be asked just now") && !strings.Contains(body, "can't be asked just now") || !strings.Contains(body, "door of Paris") {
		t.Errorf("without a warehouse: got %d %s; want the incidents, and that nobody knows of the devices", code, body)
	}
	if code, _, _ := get(t, f, noc, "/devices/counter-paris"); code != 200 {
		t.Errorf("a device without a warehouse: got %d", code)
	}
}

func TestSitesWithMostSilentDevicesComeFirst(t *testing.T) {
	f, _ := twoSites(t)
	_, body, _ := get(t, f, incidents.Token{ID: "c", Role: incidents.NOC}, "/")
	if rome, paris := strings.Index(body, "Shop Rome"), strings.Index(body, "Shop Paris"); rome < 0 || paris < rome {
		t.Errorf("Rome stands at %d, Paris at %d; Rome has more silent devices", rome, paris)
	}
	if _, body, _ = get(t, f, incidents.Token{ID: "c", Role: incidents.NOC}, "/?q=par"); strings.Contains(body, "Shop Rome") || !strings.Contains(body, "Shop Paris") {
		t.Error("looking for par: want Paris alone")
	}
}

func TestThePictureShowsTheBandAndItsGaps(t *testing.T) {
	p := picture{hours: week(), site: telemetry.Site{ID: "paris", Zone: "Europe/Paris"}, since: noon.Add(-24 * time.Hour)}
	if err := p.site.Hours.Add("mon-fri", "09:00-18:00"); err != nil {
		t.Fatal(err)
	}
	for _, svg := range []string{string(p.Wide()), string(p.Narrow())} {
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("no XML: %v\n%s", err, svg)
			}
		}
		for what, want := range map[string]int{`class="band"`: 1, `class="counted"`: 1, `class="gap"`: 24, `class="held"`: 1, `class="open"`: 6, "NaN": 0} {
			if got := strings.Count(svg, what); got != want {
				t.Errorf("%s: %d times, want %d", what, got, want)
			}
		}
	}
	if got := p.says(); !strings.Contains(got, "144 of 168 hours have readings, 24 of them are outside what is usual") {
		t.Errorf("says %q", got)
	}
	rows := p.Table()
	if len(rows) != 8 || rows[0].In != 65 || rows[7].Learnt || fmt.Sprint(rows[0].Date) != "Fri 27 Mar 2026" {
		t.Errorf("got %+v", rows)
	}
}

func TestNumbersAndSpansAreForPeople(t *testing.T) {
	v := 1237000.4
	for got, want := range map[string]string{
		num(1234567.0): "1\u202f234\u202f567", num(-1234): "−1\u202f234", num(0.125): "0.125", num((*float64)(nil)): "–",
		span(45 * time.Second): "45 s", span(-90 * time.Minute): "1 h 30 min", span(50 * time.Hour): "2 d 2 h", span(48 * time.Hour): "2 d",
		seen("silence(count)", &v): "14 d 7 h", seen("sum(in, day)", &v): "1\u202f237\u202f000",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAnIncidentSaysHowTheLikeOfItWasSolved solves what Paris reported, and looks at
// what is reported next, there and in Rome.
func TestAnIncidentSaysHowTheLikeOfItWasSolved(t *testing.T) {
	f, refs := twoSites(t)
	ctx, anna := context.Background(), incidents.Actor{Name: "anna", Role: incidents.FirstLine, Source: incidents.ByAPI}
	for _, req := range []incidents.Request{{Transition: incidents.Take},
		{Transition: incidents.Resolve, Code: "fixed", Cause: "hardware", Summary: "a drop of <i>oil</i>", Item: "counter-paris"}} {
		if _, err := f.Desk.Transition(ctx, refs["paris"], req, anna, noon); err != nil {
			t.Fatal(err)
		}
	}
	again, err := f.Desk.Report(ctx, incidents.NewReport{Summary: "it squeaks again", Category: "user_report/other", Site: "paris", Device: "counter-paris"}, anna, noon)
	if err != nil {
		t.Fatal(err)
	}
	noc := incidents.Token{ID: "c", Name: "noc", Role: incidents.NOC}
	if _, body, _ := get(t, f, noc, "/incidents/"+again.Ref); !strings.Contains(body, `Solved before on this device: <a href="/incidents/`+refs["paris"]+`">`) || !strings.Contains(body, "a drop of &lt;i&gt;oil&lt;/i&gt;") {
		t.Errorf("the page of %s does not say how it was solved before:\n%s", again.Ref, body)
	}
	if _, body, _ := get(t, f, noc, "/incidents/"+refs["rome"]); !strings.Contains(body, "Solved before elsewhere: ") {
		t.Errorf("nor does that of Rome:\n%s", body)
	}
	rome := incidents.Token{ID: "a", Name: "Rome", Role: incidents.SiteManager, Site: "rome"}
	if _, body, _ := get(t, f, rome, "/incidents/"+refs["rome"]); strings.Contains(body, "oil") || strings.Contains(body, refs["paris"]) {
		t.Errorf("who sees Rome alone reads of Paris:\n%s", body)
	}
}
