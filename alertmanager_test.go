package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// amAlert is an alert as an Alertmanager lists it.
type amAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// TestAlertmanagerBothWays has a real Alertmanager tell belfry of an alert and be
// told of a device that is lost; both begin, and both end.
func TestAlertmanagerBothWays(t *testing.T) {
	port := freePort(t)
	p := serve(t, t.TempDir(), "BELFRY_ANALYZER_RULES="+writeText(t, "rules.yaml", quick), "BELFRY_ALERTMANAGER_URLS=http://127.0.0.1:"+port)
	address := alertmanager(t, p, port)
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites": [{"id": "paris", "zone": "Europe/Paris"}],
		"devices": [{"name": "lost", "site": "paris", "heartbeat_every": 900, "in_service_since": "2026-01-01T00:00:00Z"}]}`, nil)

	// In: an alert of some other system becomes an incident, and clears.
	began := time.Now().UTC().Add(-time.Minute)
	amPost(t, address, fmt.Sprintf(`[{"labels":{"alertname":"GatewayDown","site":"paris","severity":"critical"},"annotations":{"summary":"the gateway is down"},"startsAt":%q}]`, began.Format(time.RFC3339)))
	p.awaitIncident("category=outside_alert&condition=firing&site=paris")
	amPost(t, address, fmt.Sprintf(`[{"labels":{"alertname":"GatewayDown","site":"paris","severity":"critical"},"annotations":{"summary":"the gateway is down"},"startsAt":%q,"endsAt":%q}]`,
		began.Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339)))
	p.awaitIncident("category=outside_alert&condition=clear&state=resolved")

	// Out: a device that is lost is an alert, until it is back.
	lost := p.awaitIncident("category=suspected_offline&condition=firing")
	p.await(60*time.Second, "the Alertmanager to know of the lost device", func() bool {
		list := amAlerts(t, address)
		return len(list) == 1 && list[0].Labels["alertname"] == "suspected-offline" && list[0].Labels["device"] == "lost" &&
			list[0].Labels["site"] == "paris" && list[0].Annotations["incident"] == lost
	})
	p.comesBack("lost")
	p.await(60*time.Second, "the Alertmanager to know that it is back", func() bool { return len(amAlerts(t, address)) == 0 })
	if n := len(p.list("/api/v1/incidents?category=outside_alert")); n != 1 {
		t.Errorf("%d incidents came from outside, want the gateway's alone: what belfry tells comes back and makes none", n)
	}
	p.stop()
}

// awaitIncident waits for one incident that the query selects, and returns its ref.
func (p *program) awaitIncident(query string) (ref string) {
	p.t.Helper()
	p.await(60*time.Second, "an incident with "+query, func() bool {
		list := p.list("/api/v1/incidents?" + query)
		if len(list) == 1 {
			ref = list[0]["ref"].(string)
		}
		return ref != ""
	})
	return ref
}

// alertmanager starts an Alertmanager that tells belfry of all that it is told, also
// of what belfry tells it, and returns its address.
func alertmanager(t *testing.T, p *program, port string) string {
	t.Helper()
	path, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Skip("no Alertmanager is installed; make setup-tests brings it")
	}
	config := writeText(t, "alertmanager.yml", fmt.Sprintf(`
route: {receiver: belfry, group_by: [alertname, site], group_wait: 0s, group_interval: 1s}
receivers:
  - name: belfry
    webhook_configs:
      - url: %s/api/v1/alertmanager
        max_alerts: 0
        http_config: {authorization: {credentials: %s}}
`, p.api, p.token))
	cmd := exec.Command(path, "--config.file="+config, "--storage.path="+t.TempDir(), "--web.listen-address=127.0.0.1:"+port, "--cluster.listen-address=", "--log.level=error")
	output := &logged{}
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(output)
		}
	})
	address := "http://127.0.0.1:" + port
	p.await(60*time.Second, "the Alertmanager to be ready", func() bool {
		resp, err := http.Get(address + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return address
}

func amPost(t *testing.T, address, alerts string) {
	t.Helper()
	resp, err := http.Post(address+"/api/v2/alerts", "application/json", strings.NewReader(alerts))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the Alertmanager says %s to %s", resp.Status, alerts)
	}
}

// amAlerts lists what belfry told the Alertmanager and has not ended.
func amAlerts(t *testing.T, address string) (list []amAlert) {
	t.Helper()
	resp, err := http.Get(address + `/api/v2/alerts?active=true&filter=tenant%3D%22default%22`)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	return list
}
