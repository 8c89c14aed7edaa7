package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

func init() {
	suite["Documents keep their versions"] = testDocuments
	suite["Timers find what is due"] = testTimers
	suite["A dead site is one incident"] = testRollUp
	suite["A NUL in a text does no harm"] = testNUL
}

var mona = incidents.Actor{Name: "mona", Role: incidents.Manager, Source: incidents.ByAPI}

func testDocuments(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	put := func(hours string, want incidents.Expected) (incidents.Document, error) {
		data, err := json.Marshal(incidents.Calendar{ID: "shop", Hours: map[string]string{"mon": hours}})
		if err != nil {
			t.Fatal(err)
		}
		return desk.PutDocument(ctx, incidents.Document{Kind: incidents.CalendarDocument, ID: "shop", Actor: "mona", Data: data}, want, noon)
	}
	if doc, err := put("09:00-18:00", incidents.Expected{New: true}); err != nil || doc.Version != 1 {
		t.Fatalf("got version %d, %v", doc.Version, err)
	}
	if _, err := put("09:00-18:00", incidents.Expected{New: true}); !errors.Is(err, incidents.ErrExists) {
		t.Errorf("a second one: got %v", err)
	}
	if doc, err := put("10:00-18:00", incidents.Expected{Version: 1}); err != nil || doc.Version != 2 {
		t.Errorf("got version %d, %v", doc.Version, err)
	}
	if _, err := put("11:00-18:00", incidents.Expected{Version: 1}); !errors.Is(err, incidents.ErrStale) {
		t.Errorf("a change of an old version: got %v", err)
	}
	list, revision, err := s.Documents(ctx, incidents.CalendarDocument)
	if err != nil || len(list) != 2 || revision != 2 || !strings.Contains(string(list[1].Data), "10:00") || !list[0].At.Equal(noon) {
		t.Errorf("got %+v at revision %d, %v", list, revision, err)
	}
}

func testTimers(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 130, noon)); err != nil {
		t.Fatal(err)
	}
	other := incidents.NewDesk(s, incidents.Config{}, nil, nil) // another process
	for _, tt := range []struct {
		hours time.Duration
		clock string
		many  bool
	}{{2, "", false}, {3, "breached", true}, {30, "breached", true}} {
		n, err := other.Tick(ctx, noon.Add(tt.hours*time.Hour))
		if err != nil || (n > 0) != tt.many {
			t.Errorf("after %d h: %d changes, %v", tt.hours, n, err)
		}
		list, err := s.Incidents(ctx, incidents.Query{Clock: tt.clock, Limit: 500})
		if err != nil || len(list) != 130 {
			t.Errorf("after %d h: %d incidents are %q, %v", tt.hours, len(list), tt.clock, err)
		}
	}
	if n, err := desk.Tick(ctx, noon.Add(30*time.Hour)); n != 0 || err != nil {
		t.Errorf("what was done was done again: %d, %v", n, err)
	}
	force := incidents.Request{Transition: incidents.Cancel, Code: "mistake", Reason: "a test"}
	for _, r := range desk.Bulk(ctx, []string{"INC-000001", "INC-000002", "INC-000999"}, force, mona, noon.Add(31*time.Hour)) {
		if found := r.Ref != "INC-000999"; found != (r.Err == nil) {
			t.Errorf("%s: %v", r.Ref, r.Err)
		}
	}
	if states := holds(t, s); !slices.ContainsFunc(states, func(i incidents.Incident) bool { return i.State == incidents.Cancelled }) {
		t.Error("nothing was cancelled")
	}
}

func testNUL(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	inc, err := desk.Report(ctx, incidents.NewReport{Summary: "a\x00b", Site: "s"}, mona, noon)
	if err == nil {
		_, err = desk.Comment(ctx, inc.Ref, incidents.Request{Text: "c\x00d"}, mona, noon)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Incidents(ctx, incidents.Query{Q: "a\x00b", Limit: 1}); err != nil {
		t.Error(err)
	}
	if got, err := s.Incident(ctx, inc.Ref); err != nil || got.Summary != "a\x00b" {
		t.Errorf("got %q, %v", got.Summary, err)
	}
}

func TestPostgreSQLGoesAwayAndComesBack(t *testing.T) {
	server, ctx := startPostgres(t), context.Background()
	s := server.open(t)
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 10, noon)); err != nil {
		t.Fatal(err)
	}
	server.kill(t)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 20, noon)); err == nil {
		t.Error("a database that is away took findings in")
	}
	server.start(t)
	server.create(t, "answers")
	if err := desk.Receive(ctx, findings(telemetry.Firing, 20, noon)); err != nil {
		t.Fatal(err)
	}
	if list := holds(t, s); len(list) != 20 {
		t.Errorf("%d incidents, want 20", len(list))
	}
}

// dying kills the server when all of a transaction is written and nothing committed.
type dying struct {
	*Tickets
	kill func()
}

func (d dying) Update(ctx context.Context, fn func(incidents.Tx) error) error {
	return d.Tickets.Update(ctx, func(tx incidents.Tx) error {
		defer d.kill()
		return fn(tx)
	})
}

func TestPostgreSQLDiesInATransaction(t *testing.T) {
	server, ctx := startPostgres(t), context.Background()
	s := server.open(t)
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 10, noon)); err != nil {
		t.Fatal(err)
	}
	due := holds(t, s)[0].Clocks[0].Due
	killed := incidents.NewDesk(dying{s, func() { server.kill(t) }}, incidents.Config{}, nil, nil)
	if err := killed.Receive(ctx, findings(telemetry.Firing, 30, noon)); err == nil || !strings.Contains(err.Error(), "went away") {
		t.Errorf("it died before the commit: got %v, want what was not done", err)
	}
	late := due.Add(72 * time.Hour)
	if _, err := desk.Tick(ctx, late); err == nil || !strings.Contains(err.Error(), "begin a transaction") {
		t.Errorf("the timers without a database: got %v, want what they could not do", err)
	}
	server.start(t)
	server.create(t, "answers")
	for range readers {
		_ = s.Ping(ctx) // finds a connection dead that it had not used since
	}
	if list := holds(t, s); len(list) != 10 {
		t.Errorf("%d incidents, want the 10 from before", len(list))
	}
	if n, err := desk.Tick(ctx, late); err != nil || n < 10 {
		t.Errorf("the timers made %d changes, %v; want what was missed of 10 incidents", n, err)
	}
	if n, err := desk.Tick(ctx, late); err != nil || n != 0 {
		t.Errorf("and once more %d, %v; want none", n, err)
	}
	for _, inc := range holds(t, s) {
		if p := inc.Clocks[0].Passed; len(p) == 0 || !p[len(p)-1].At.Equal(due) || !p[len(p)-1].Noted.Equal(late) {
			t.Errorf("%s passed %+v; want at %v, noted at %v", inc.Ref, p, due, late)
		}
	}
	if err := desk.Receive(ctx, findings(telemetry.Firing, 30, noon)); err != nil {
		t.Fatal(err)
	}
	if list := holds(t, s); len(list) != 30 {
		t.Errorf("%d incidents, want 30", len(list))
	}
}

func testRollUp(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	var devices []telemetry.Device
	for i := range 100 {
		devices = append(devices, telemetry.Device{Name: fmt.Sprintf("FC-%06d", i), Site: "site-0000"})
	}
	if err := s.Import(ctx, []telemetry.Site{{ID: "site-0000"}, {ID: "site-0001", Status: telemetry.SiteClosed}}, devices); err != nil {
		t.Fatal(err)
	}
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 60, noon)); err != nil {
		t.Fatal(err)
	}
	list := holds(t, s)
	if top := list[len(list)-1]; len(list) != 61 || !top.RolledUp || list[0].Parent != top.Ref {
		t.Fatalf("%d incidents, the first %+v", len(list), top)
	}
	children, err := s.Incidents(ctx, incidents.Query{Parent: "INC-000001", Limit: 100})
	if err != nil || len(children) != 60 {
		t.Errorf("it stands for %d, %v; want 60", len(children), err)
	}
	if err := desk.Receive(ctx, findings(telemetry.Clear, 60, noon.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	for _, inc := range holds(t, s) {
		if inc.State != incidents.Resolved {
			t.Errorf("%s of %s is %s", inc.Ref, inc.Device, inc.State)
		}
	}
	if err := desk.Receive(ctx, []telemetry.Finding{finding(telemetry.Firing, 101, noon)}); err != nil { // at the closed site
		t.Fatal(err)
	}
	if inc, err := s.Incident(ctx, "INC-000062"); err != nil || inc.Held.By != "closed_site" {
		t.Errorf("at a closed site: held %+v, %v", inc.Held, err)
	}
}
