package warehouse

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

// TestTheViewsAsOfAnInstantShowWhatHadArrived holds them against the plain way of asking,
// over readings that come late, again and corrected.
func TestTheViewsAsOfAnInstantShowWhatHadArrived(t *testing.T) {
	w := open(t)
	register(t, w, "s", "UTC", "d0", "d1", "d2")
	random := rand.New(rand.NewPCG(8, 1))
	insert(t, w, func(b *telemetry.Batch) {
		for i := range 3000 {
			name, ts := fmt.Sprint("d", i%3), noon.Add(time.Duration(random.IntN(300))*10*time.Minute)
			arrival := ts.Add(time.Duration(random.IntN(3)*random.IntN(300)) * time.Minute)
			count(b, name, ts, arrival, int64(i), random.Uint32N(900), 1)
			heartbeat(b, name, ts, arrival, int64(i), "temp", float64(random.IntN(50)))
		}
	})
	for range 10 {
		at := noon.Add(time.Duration(random.IntN(3600)) * time.Minute)
		asOf := at.Format(time.DateTime)
		plain := fmt.Sprintf("SELECT count(), sum(tupleElement(v, 1)) FROM (SELECT device, ts, argMax((%s), (delay, offset)) AS v FROM {db}.%%s WHERE toUnixTimestamp64Milli(ts) + delay <= %d GROUP BY device, ts)", "%s", at.UnixMilli())
		for view, c := range map[string][2]string{"readings": {"`in`, 1", "raw_counts"}, "heartbeats": {"measurements['temp'], 1", "raw_heartbeats"}} {
			value, _, _ := strings.Cut(c[0], ", 1")
			got := tsv(t, w, fmt.Sprintf("SELECT count(), sum(%s) FROM {db}.%s_as_of(as_of = '%s')", value, view, asOf))
			if want := tsv(t, w, fmt.Sprintf(plain, c[0], c[1])); got != want || strings.HasPrefix(want, "0\t") && at.After(noon.Add(time.Hour)) {
				t.Errorf("%s as of %s: got %s; want %s", view, asOf, got, want)
			}
		}
	}
}
