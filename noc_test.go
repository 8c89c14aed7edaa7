package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"belfry/dashboards"
)

// TestTheCommandsOfTheNOCGuideWork runs what docs/noc.md tells to type, against a
// belfry on other ports. What serves for ever is checked instead, and Grafana, which
// is not at hand, is left out.
func TestTheCommandsOfTheNOCGuideWork(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "noc.md"))
	if err != nil {
		t.Fatal(err)
	}
	data, room := t.TempDir(), t.TempDir()
	p := serve(t, data)
	if err := os.WriteFile(filepath.Join(room, "belfry"), fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asBelfry, os.Args[0]), 0o700); err != nil {
		t.Fatal(err)
	}
	door, err := url.Parse(readHolder(data).Door)
	if err != nil {
		t.Fatal(err)
	}
	token, ran := "TOKEN", 0
	for _, m := range regexp.MustCompile(`(?m)^ {4,}((?:cd|belfry|curl|prometheus|amtool|promtool) .*)$`).FindAllStringSubmatch(string(text), -1) {
		line := strings.NewReplacer("127.0.0.1:8123", door.Host, "http://127.0.0.1:8080", p.api, "belfry-data", data, "TOKEN", token,
			" grafana", " "+filepath.Join(room, "grafana"), " pictures", " "+filepath.Join(room, "pictures"), "prometheus --config.file=", "promtool check config ").Replace(m[1])
		tool := strings.Fields(strings.TrimPrefix(line, "cd deploy/prometheus && "))[0]
		if strings.HasPrefix(line, "belfry serve") {
			ran++
			continue // it is there
		}
		if _, err := exec.LookPath(tool); err != nil && tool != "belfry" {
			t.Logf("not run, for %s is not installed: %s", tool, m[1])
			continue
		}
		out, err := p.shell(line, room)
		if err != nil || strings.Contains(out, "DB::Exception") {
			t.Errorf("%s: %v\n%s", m[1], err, out)
		}
		if found := regexp.MustCompile(`bf_[a-z0-9]+_[a-z0-9]+`).FindString(out); found != "" && token == "TOKEN" {
			token = found
		}
		if strings.HasPrefix(m[1], "curl") && strings.Contains(m[1], "http_code") && strings.TrimSpace(out) != "200" {
			t.Errorf("%s: the page answers %s", m[1], out)
		}
		ran++
	}
	if ran < 6 || token == "TOKEN" {
		t.Errorf("%d commands were run, and the token is %s: the guide has changed its form", ran, token)
	}
	p.stop()
}

// TestAnExistingClickHouseHasTheViewsAndTheDashboardsTheirRows runs belfry over a
// ClickHouse of somebody else's, and asks that one what Grafana would.
func TestAnExistingClickHouseHasTheViewsAndTheDashboardsTheirRows(t *testing.T) {
	clickhouse, data := startClickHouse(t, t.TempDir()), t.TempDir()
	p := serve(t, data, "BELFRY_WAREHOUSE_ADDRESSES="+clickhouse.address)
	if at := readHolder(data).Door; at != "" {
		t.Errorf("the door is open at %s; a ClickHouse of one's own has its own", at)
	}
	now := time.Now().UTC().Truncate(time.Second)
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites": [{"id": "shop", "zone": "Europe/Paris"}], "devices": [{"name": "a", "site": "shop"}]}`, nil)
	p.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"a","ts":"%s","in":12,"out":9}`, now.Format(time.RFC3339)), nil)
	p.await(time.Minute, "the reading to be in the ClickHouse", func() bool {
		return fmt.Sprint(clickhouse.query(t, "SELECT device, site, `in`, `out` FROM belfry_default.readings")) == "[[a shop 12 9]]"
	})
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	shown := dashboards.Shown{From: now.Add(-24 * time.Hour), To: now.Add(time.Minute), Sites: []string{"shop"}, Devices: []string{"a"}, Database: "belfry_default"}
	got := map[string]string{}
	for _, q := range queries {
		if q.SQL {
			got[q.Dashboard+": "+q.Panel] = fmt.Sprint(clickhouse.query(t, q.Expand(shown)))
		}
	}
	for panel, want := range map[string]string{"fleet: Devices alive": "[[1]]", "fleet: Devices silent": "[[0]]", "capacity: Devices in service": "[[1]]", "device: $device": "[[a]]"} {
		if got[panel] != want {
			t.Errorf("%s: got %s, want %s", panel, got[panel], want)
		}
	}
	p.stop()
}

// shell runs a line of a guide in the repository's folder, with programs of the
// room before those of the system.
func (p *program) shell(line, room string) (string, error) {
	done := time.AfterFunc(2*time.Minute, func() { p.t.Errorf("%s: takes too long", line) })
	defer done.Stop()
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = append(os.Environ(), "PATH="+room+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}
