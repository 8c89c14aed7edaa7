package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"belfry/incidents"
)

func TestSessionsInSQLite(t *testing.T) {
	c, err := OpenControl(context.Background(), filepath.Join(t.TempDir(), "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	testSessionsAreListedAndEnded(t, c)
}

func TestSessionsInPostgreSQL(t *testing.T) {
	server := startPostgres(t)
	server.create(t, "shared")
	c, err := OpenControlPostgres(context.Background(), server.source("shared"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	testSessionsAreListedAndEnded(t, c)
}

func testSessionsAreListedAndEnded(t *testing.T, c *Control) {
	t.Helper()
	ctx := context.Background()
	sign := func(at incidents.Token) string {
		at.ExpiresAt = noon.Add(time.Hour)
		secret, err := c.CreateSession(ctx, at, noon)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	names := func(tenant, name string, at time.Time) (text string) {
		list, err := c.Sessions(ctx, tenant, name, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			text += s.Name + " "
		}
		return text
	}
	ana, _, err := c.CreateToken(ctx, incidents.Token{Name: "ana", Role: incidents.NOC, Tenant: "default"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	sign(ana)
	rosa := sign(incidents.Token{Name: "rosa", Role: incidents.SiteManager, Site: "rome", Tenant: "default"}) // a provider vouched for her
	sign(incidents.Token{Name: "zoe", Role: incidents.Admin, Tenant: "other"})
	if got := names("default", "", noon); got != "ana rosa " && got != "rosa ana " {
		t.Errorf("signed in: %q; want ana and rosa", got)
	}
	list, err := c.Sessions(ctx, "default", "rosa", noon)
	if err != nil || len(list) != 1 || list[0].Site != "rome" || list[0].Token != "" || !list[0].ExpiresAt.Equal(noon.Add(time.Hour)) {
		t.Fatalf("rosa's: %+v, %v", list, err)
	}
	for what, one := range map[string][3]string{"another tenant": {"other", "", list[0].ID}, "another name": {"default", "ana", list[0].ID}, "no id": {"default", "", "?"}, "another id": {"default", "", "aaaaaaaa"}} {
		if err := c.EndSessionOf(ctx, one[0], one[1], one[2]); !errors.Is(err, incidents.ErrNotFound) {
			t.Errorf("%s ends it: %v; want ErrNotFound", what, err)
		}
	}
	if err := c.EndSessionOf(ctx, "default", "rosa", list[0].ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Session(ctx, rosa, noon); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("an ended session: %v; want ErrNotFound", err)
	}
	if err := c.RevokeToken(ctx, "default", ana.ID, noon); err != nil {
		t.Fatal(err)
	}
	if got := names("default", "", noon); got != "" {
		t.Errorf("after the token's end there is %q", got)
	}
	if got := names("other", "", noon.Add(time.Hour)); got != "" {
		t.Errorf("after its time there is %q", got)
	}
}
