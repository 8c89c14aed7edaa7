package store

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/incidents"
	"belfry/telemetry"
)

// TestTicketsMoveBetweenDatabases carries tickets from SQLite to PostgreSQL, works
// on them there, and carries them back.
func TestTicketsMoveBetweenDatabases(t *testing.T) {
	server, ctx := startPostgres(t), context.Background()
	quiet := func(string, int64) {}
	file, there := openTickets(t), server.open(t)
	desk := incidents.NewDesk(file, incidents.Config{}, nil, nil)
	if err := file.Import(ctx, []telemetry.Site{{ID: "paris", Zone: "Europe/Paris"}}, []telemetry.Device{{Name: "FC-000001", Site: "paris"}}); err != nil {
		t.Fatal(err)
	}
	if err := desk.Receive(ctx, findings(telemetry.Firing, 100, noon)); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	photo, err := NewAttachments(file, folder).Add(ctx, incidents.Attachment{Ref: "INC-000001", Name: "door.jpg", Type: "image/jpeg", CreatedBy: "ana", CreatedAt: noon}, []byte("a door"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.CopyTo(ctx, there, quiet); err != nil {
		t.Fatal(err)
	}
	if err := there.TakeFiles(ctx, folder); err != nil {
		t.Fatal(err)
	}
	if _, data, err := NewAttachments(there, "").Read(ctx, photo.Ref, photo.ID); err != nil || string(data) != "a door" {
		t.Errorf("the attachment is %q there, %v", data, err)
	}
	if err := file.CopyTo(ctx, there, quiet); !errors.Is(err, ErrOccupied) {
		t.Errorf("a copy over other tickets: got %v, want ErrOccupied", err)
	}
	moved := incidents.NewDesk(there, incidents.Config{}, nil, nil)
	if err := moved.Receive(ctx, findings(telemetry.Firing, 120, noon.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	if list := holds(t, there); len(list) != 120 || list[0].Ref != "INC-000120" {
		t.Errorf("after the move there are %d incidents, the newest %s; want 120 of them", len(list), list[0].Ref)
	}

	back := filepath.Join(t.TempDir(), "back.db")
	if err := there.Snapshot(ctx, back); err != nil {
		t.Fatal(err)
	}
	again, err := Open(ctx, back)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if diff := cmp.Diff(holds(t, there), holds(t, again)); diff != "" {
		t.Errorf("what came back is something else (-PostgreSQL +SQLite):\n%s", diff)
	}
	if _, data, err := NewAttachments(again, t.TempDir()).Read(ctx, photo.Ref, photo.ID); err != nil || string(data) != "a door" {
		t.Errorf("the attachment came back as %q, %v", data, err)
	}
	if occupied, err := again.Occupied(ctx); err != nil || !occupied {
		t.Errorf("it says that it holds nothing: %v", err)
	}
}

func TestTokensMoveToPostgreSQL(t *testing.T) {
	server, ctx := startPostgres(t), context.Background()
	server.create(t, "shared")
	from, err := OpenControl(ctx, filepath.Join(t.TempDir(), "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if _, err := from.CreateTenant(ctx, "acme", noon); err != nil {
		t.Fatal(err)
	}
	_, secret, err := from.CreateToken(ctx, incidents.Token{Name: "ana", Role: incidents.Admin, Tenant: "acme"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	to, err := OpenControlPostgres(ctx, server.source("shared"))
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := from.CopyTo(ctx, to, func(string, int64) {}); err != nil {
		t.Fatal(err)
	}
	if token, err := to.Authenticate(ctx, secret, noon); err != nil || token.Tenant != "acme" {
		t.Errorf("the token is %+v there, %v", token, err)
	}
	testTenantsAreMadeAndDropped(t, to)
}

func TestTenantsAreMadeAndDropped(t *testing.T) {
	c, err := OpenControl(context.Background(), filepath.Join(t.TempDir(), "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	testTenantsAreMadeAndDropped(t, c)
}

func testTenantsAreMadeAndDropped(t *testing.T, c *Control) {
	t.Helper()
	ctx := context.Background()
	first, err := c.CreateTenant(ctx, "bolt", noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTenant(ctx, "bolt", noon); !errors.Is(err, incidents.ErrExists) {
		t.Errorf("a second one of the name: got %v, want ErrExists", err)
	}
	var invalid *incidents.InvalidError
	if _, err := c.CreateTenant(ctx, "Bolt Ltd", noon); !errors.As(err, &invalid) {
		t.Errorf("a name with a space: got %v, want an InvalidError", err)
	}
	_, secret, err := c.CreateToken(ctx, incidents.Token{Name: "ana", Role: incidents.Admin, Tenant: "bolt"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	held := func(want ...string) {
		t.Helper()
		if got, err := c.HoldersOf(ctx, first.Number, "here", noon.Add(leaseTime)); err != nil || !slices.Equal(got, want) {
			t.Errorf("it is held by %v, %v; want %v", got, err, want)
		}
	}
	for _, holder := range []string{"here", "there", "elsewhere"} {
		if err := c.HoldTenant(ctx, first.Number, holder, noon); err != nil {
			t.Fatal(err)
		}
	}
	held("elsewhere", "there")
	if err := errors.Join(c.LetGo(ctx, first.Number, "elsewhere"), c.RenewHolds(ctx, "elsewhere", noon.Add(time.Hour)), c.RenewHolds(ctx, "there", noon.Add(-time.Second))); err != nil {
		t.Fatal(err)
	}
	held()
	if dropped, err := c.BeginDrop(ctx, "bolt", noon); err != nil || dropped.Number != first.Number {
		t.Errorf("got %+v, %v", dropped, err)
	}
	if _, err := c.Authenticate(ctx, secret, noon); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("a token of a tenant that is being dropped: got %v, want ErrNotFound", err)
	}
	if err := c.HoldTenant(ctx, first.Number, "late", noon); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("opened while it is dropped: got %v, want ErrNotFound", err)
	}
	refused := errors.New("the warehouse is away")
	if err := c.EndDrop(ctx, first, func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("its data can't be deleted: got %v, want %v", err, refused)
	}
	err = c.EndDrop(ctx, first, func() error {
		if _, err := c.CreateTenant(ctx, "bolt", noon); !errors.Is(err, incidents.ErrExists) {
			t.Errorf("made again while its data are deleted: got %v, want ErrExists", err)
		}
		var held *incidents.ConflictError
		if err := c.EndDrop(ctx, first, func() error { return nil }); c.dialect == postgres && !errors.As(err, &held) {
			t.Errorf("dropped by two at a time: got %v, want a ConflictError", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.BeginDrop(ctx, "bolt", noon); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("dropped again: got %v, want ErrNotFound", err)
	}
	if again, err := c.CreateTenant(ctx, "bolt", noon); err != nil || again.Number <= first.Number {
		t.Errorf("made again it has the number %d, %v; want one over %d", again.Number, err, first.Number)
	}
	// Who was slow to drop the first one meets the next of its name.
	if err := c.EndDrop(ctx, first, func() error { return errors.New("deletes what is another's") }); err != nil {
		t.Error(err)
	}
	if list, err := c.Tenants(ctx); err != nil || list[len(list)-1].Name != "bolt" {
		t.Errorf("the next of its name is gone: %v, %v", list, err)
	}
}
