package analyzer

import (
	"fmt"
	"math"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestASurpriseIsTheTailOfTheBinomial(t *testing.T) {
	for _, c := range []struct {
		yes, known int
		habit      float64
		want       float64 // the chance
	}{
		{5, 5, 0.5, 1.0 / 32}, {4, 5, 0.5, 6.0 / 32}, {1, 1, 0.02, 0.02},
		{2, 3, 0.1, 3*0.01*0.9 + 0.001}, {0, 10, 0.1, 1}, {1, 10, 0.1, 1},
		{10, 10, 0.01, 1e-20},
	} {
		if got := surpriseOf(c.yes, c.known, c.habit); math.Abs(got+math.Log10(c.want)) > 1e-9 {
			t.Errorf("%d of %d where %v is usual: got %v; want %v", c.yes, c.known, c.habit, got, -math.Log10(c.want))
		}
	}
}

func TestAShareAsksEachDevice(t *testing.T) {
	var devices []telemetry.Device
	for i := range 10 {
		devices = append(devices, telemetry.Device{Name: fmt.Sprint("d", i), Site: "shop", HeartbeatEvery: 900})
	}
	devices = append(devices, telemetry.Device{Name: "k", Site: "kiosk", HeartbeatEvery: 900})
	w := newWorld(t, `
rules:
  - name: outage
    scope: site
    every: 5m
    when: share(silence() > limit) >= 50% and surprise(silence() > limit, usual) > 9 and devices() >= 5
    category: feed_outage
    params: { limit: 30m, usual: 1% }
  - { name: calls, scope: tenant, every: 5m, when: "share(silence() > 2 * interval(heartbeat)) > 95%", category: x }
`, []telemetry.Site{shop, kiosk}, devices)
	beat(w, "k", monday)
	for i := range 10 {
		beat(w, fmt.Sprint("d", i), monday)
		if i < 4 {
			beat(w, fmt.Sprint("d", i), monday.Add(20*time.Minute))
		}
	}
	w.expect(monday.Add(30 * time.Minute))
	w.expect(monday.Add(35*time.Minute), "firing shop") // six of ten; the kiosk has one device
	w.expect(monday.Add(55*time.Minute), "firing ")
	beat(w, "d9", monday.Add(time.Hour))
	w.expect(monday.Add(time.Hour), "clear ")
}
