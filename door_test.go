package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ask sends a statement to the ClickHouse door of a program.
func (p *program) ask(user, password, sql string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequest("POST", readHolder(p.data).Door+"/", strings.NewReader(sql))
	if err != nil {
		p.t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestTheDoorShowsATenantItsReadings(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	now := time.Now().UTC().Truncate(time.Second)
	p.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"a","ts":"%s","in":12,"out":9}`, now.Format(time.RFC3339)), nil)
	p.await(30*time.Second, "the reading to be there", func() bool {
		_, body := p.ask("default", p.token, "SELECT device, `in`, `out` FROM readings FORMAT CSV")
		return body == "\"a\",12,9\n"
	})
	token := func(role string, more ...string) string {
		return strings.TrimSpace(mustCommand(t, append([]string{"--data", data, "tokens", "create", "--role", role}, more...)...))
	}
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites": [{"id": "s", "zone": "UTC"}]}`, nil)
	for _, c := range []struct {
		who, user, password string
		status              int
	}{
		{"the NOC", "default", token("noc"), 200},
		{"a manager", "default", token("manager"), 200},
		{"a device", "default", token("device"), 403},
		{"the first line", "default", token("first_line"), 403},
		{"a manager of one site", "default", token("manager", "--site", "s"), 403},
		{"another tenant's name", "other", p.token, 403},
		{"a wrong password", "default", "wrong", 403},
		{"no password", "default", "", 403},
	} {
		if status, body := p.ask(c.user, c.password, "SELECT 1"); status != c.status {
			t.Errorf("%s: got %d %s, want %d", c.who, status, body, c.status)
		}
	}
	if status, body := p.ask("default", p.token, "SELECT file('/etc/hostname')"); status != 400 || !strings.Contains(body, "Code: 497.") {
		t.Errorf("a file: got %d %s", status, body)
	}
	if got := p.counter("belfry_door_wrong_passwords_total"); got != 6 {
		t.Errorf("%v wrong passwords were counted, want 6", got)
	}
	p.stop()
}

func TestADoorThatIsTakenIsToldWithItsKey(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, errs, code := command(t, append(freePorts, "BELFRY_DOOR_LISTEN="+l.Addr().String()), "serve", "--data", t.TempDir())
	if code != 1 || !strings.Contains(errs, "door.listen") || !strings.Contains(errs, "address already in use") {
		t.Errorf("got exit code %d and %q, want 1 and the key door.listen", code, errs)
	}
	p := serve(t, t.TempDir(), "BELFRY_DOOR_LISTEN=")
	if u, err := url.Parse(readHolder(p.data).Door); err != nil || u.Host != "" {
		t.Errorf("a door that is shut is at %v", u)
	}
	p.stop()
}
