package analyzer

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"belfry/telemetry"
)

// TestDevicesAreHeldAgainstThoseOfTheirLabel: each stands at a site of its own. Of
// 0.1, 0.2, 0.3, 0.4 and 1.5 the median is 0.3 and the MAD 0.1.
func TestDevicesAreHeldAgainstThoseOfTheirLabel(t *testing.T) {
	var sites []telemetry.Site
	var devices []telemetry.Device
	for i, chain := range []string{"north", "north", "north", "", "north", "south", "south", ""} {
		site := telemetry.Site{ID: fmt.Sprintf("s%d", i), Labels: map[string]string{"chain": chain}}
		device := telemetry.Device{Name: fmt.Sprintf("d%d", i), Site: site.ID}
		if i == 3 {
			device.Labels = map[string]string{"chain": "north"}
		}
		sites, devices = append(sites, site), append(devices, device)
	}
	w := newWorld(t, `
rules:
  - { name: odd, scope: device, peers: group(chain), every: 1h, when: "zpeers(sum(in, 1h)) > 5", category: x }
`, sites, devices)
	values := []float64{0.1, 0.2, 0.3, 0.4, 1.5, 7, 8, 9}
	width := 1.4826 * 0.1
	nan := math.NaN()
	for _, c := range []struct {
		use  use
		of   func([]float64) (float64, float64)
		want []float64
	}{
		{use{among: "chain"}, peerDistance, []float64{-0.2 / width, -0.1 / width, 0, 0.1 / width, 1.2 / width, nan, nan, nan}},
		{use{among: "chain"}, peerMedian, []float64{0.3, 0.3, 0.3, 0.3, 0.3, nan, nan, nan}},
		{use{}, peerDistance, []float64{nan, nan, nan, nan, nan, nan, nan, nan}}, // a site has one
	} {
		p := &pass{Analyzer: w.analyzer}
		p.alive = make([]bool, len(devices))
		value := make([]float64, len(devices))
		for i := range devices {
			row, _ := p.fleet.deviceRow(fmt.Sprintf("d%d", i))
			value[row], p.alive[row] = values[i], true
		}
		p.holdAgainstPeers(c.use, value, nil, c.of)
		for i, want := range c.want {
			row, _ := p.fleet.deviceRow(fmt.Sprintf("d%d", i))
			if got := value[row]; got != want && !(got != got && want != want) && !(math.Abs(got-want) < 1e-9) {
				t.Errorf("%q: d%d: got %v; want %v", c.use.among, i, got, want)
			}
		}
	}
}

// TestAnOutlierAmongSmallSites: a kiosk of a chain loses its people, and so do all doors
// of a mall. The mall's are a group event, which stands for its doors, and the kiosk is
// out of line with the chain. By its site alone nothing can be said of it.
func TestAnOutlierAmongSmallSites(t *testing.T) {
	var sites, devices, series strings.Builder
	add := func(site, door, counts string) {
		fmt.Fprintf(&devices, "      - { name: %s, site: %s }\n", door, site)
		fmt.Fprintf(&series, "      - { device: %s, in: %s }\n", door, counts)
	}
	sites.WriteString("      - { id: mall, labels: { chain: acme } }\n")
	for i := range 5 {
		add("mall", fmt.Sprintf("m%d", i), fmt.Sprintf("%d~9x850 20x5 %d~9x9", 100+i, 100+i))
	}
	for i := range 16 {
		fmt.Fprintf(&sites, "      - { id: s%d, labels: { chain: acme } }\n", i)
		counts := fmt.Sprintf("%d~9x864", 150+i)
		if i == 3 {
			counts = "153~9x850 20x5 153~9x9"
		}
		add(fmt.Sprintf("s%d", i), fmt.Sprintf("k%d", i), counts)
	}
	test := "tests:\n  - name: a kiosk and a mall\n    start: 2026-05-04 00:00\n    from: 2026-06-08 00:00\n    sites:\n" + sites.String() + "    devices:\n" + devices.String() + "    series:\n" + series.String()
	rule := func(peers string) string {
		return `
rules:
  - { name: out, scope: device, ` + peers + `when: outlier() > 1, yields_to: [event], every: 1h, category: x }
  - { name: event, scope: site, when: "abs(logratio(sum(total, 1h))) > 0.35", every: 1h, category: x }
`
	}
	cases, err := casesOfRule(rule("peers: group(chain), "), "rules: [rule.yaml]\n"+test+`    expect:
      - { at: 2026-06-08 12:30, findings: [{ rule: event, scope: "site:mall" }] }
      - { at: 2026-06-08 14:30, findings: [{ rule: out, scope: k3 }], firing: [{ rule: event, scope: "site:mall" }, k3] }
`)
	holds(t, cases, err)
	cases, err = casesOfRule(rule(""), "rules: [rule.yaml]\n"+test+`    expect:
      - { at: 2026-06-08 14:30, findings: [{ rule: event, scope: "site:mall" }] }
`)
	holds(t, cases, err)
}
