package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// PeerCompare is the same two rules on belfry and on Prometheus, over the same data.
type PeerCompare struct {
	Devices int    `json:"devices"`
	Version string `json:"version"`
	Hits    int    `json:"hits"` // that both found, and the same ones

	BelfryMillis  float64 `json:"belfry_ms"`
	BelfryCPU     float64 `json:"belfry_cpu_us_per_device"`            // from the warehouse to findings
	BelfryColumns float64 `json:"belfry_cpu_us_per_device_on_columns"` // without the scan
	PeerMillis    float64 `json:"prometheus_ms"`
	PeerCPU       float64 `json:"prometheus_cpu_us_per_device"`
	Ratio         float64 `json:"prometheus_cpu_over_belfry_cpu"`
	ColumnsRatio  float64 `json:"prometheus_cpu_over_belfry_cpu_on_columns"`
}

// peerRules and peerQueries say the same in the two languages: a device that was not
// heard of for 90 minutes, and a site of which IN and OUT of six hours differ by a
// tenth. No reading lies on a window's edge, where the two languages differ.
const peerRules = `
rules:
  - { name: offline, scope: device, when: silence(heartbeat) > 90m, every: 5m, category: suspected_offline }
  - { name: unequal, scope: site, when: "abs(sum(in, 6h) - sum(out, 6h)) / max(sum(in, 6h), sum(out, 6h)) > 10%", every: 5m, category: in_out_discrepancy }
`

var peerQueries = []struct{ label, query string }{
	{"device", `last_over_time(beat[6h]) unless last_over_time(beat[90m])`},
	{"site", `abs(sum by (site) (sum_over_time(in[6h])) - sum by (site) (sum_over_time(out[6h]))) / sum by (site) (sum_over_time(in[6h])) > 0.1`},
}

// PeerMissing says what the comparison lacks on this machine, or "".
func PeerMissing() string {
	for _, name := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed (deploy/setup/tests.sh brings it)"
		}
	}
	return ""
}

// compare runs both. The hits have to be the same before any clock counts.
func (o *AnalyzerOptions) compare(ctx context.Context) (*PeerCompare, error) {
	b := newBenchFleet(o.Peer, 6)
	c := &PeerCompare{Devices: o.Peer}
	ours, err := o.compareOurs(ctx, b, c)
	if err != nil {
		return nil, err
	}
	theirs, err := o.compareTheirs(ctx, b, c)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(ours, theirs) {
		return nil, fmt.Errorf("belfry found %d and Prometheus %d, not the same ones", len(ours), len(theirs))
	}
	if want := len(b.stopped) + len(b.unequal); len(ours) != want {
		return nil, fmt.Errorf("both found %d; %d faults were made", len(ours), want)
	}
	c.Hits = len(ours)
	c.Ratio, c.ColumnsRatio = c.PeerCPU/c.BelfryCPU, c.PeerCPU/c.BelfryColumns
	return c, nil
}

func (o *AnalyzerOptions) compareOurs(ctx context.Context, b *benchFleet, c *PeerCompare) ([]string, error) {
	open, done, err := o.Warehouse(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	fleet, err := analyzer.NewFleet(slices.Clone(b.sites), slices.Clone(b.devices))
	if err != nil {
		return nil, err
	}
	m := &measured{rules: mustRules(peerRules)}
	if err := m.open(ctx, open, fleet); err != nil {
		return nil, err
	}
	for i := o.Rounds; i >= 0; i-- {
		at := benchAt.Add(-time.Duration(i) * step)
		if err := b.fillTo(ctx, m.warehouse.Insert, at.Add(time.Minute), o.Progress); err != nil {
			return nil, err
		}
		if err := m.first(ctx, at, i < o.Rounds); err != nil {
			return nil, err
		}
	}
	var hits []string
	a, err := analyzer.New(ctx, analyzer.Config{Rules: m.rules, Fleet: fleet, Query: m.warehouse.Scan, Series: m.warehouse.Series,
		Emit: func(_ context.Context, f []telemetry.Finding) error {
			for _, one := range f {
				hits = append(hits, one.Scope.Name)
			}
			return nil
		}})
	if err != nil {
		return nil, err
	}
	if err := a.Evaluate(ctx, benchAt); err != nil {
		return nil, err
	}
	p := m.median()
	c.BelfryMillis, c.BelfryCPU = p.Millis, p.CPUPerUnit
	c.BelfryColumns = (p.Columns + p.Programs) * 1e3 / float64(o.Peer)
	slices.Sort(hits)
	return hits, nil
}

func (o *AnalyzerOptions) compareTheirs(ctx context.Context, b *benchFleet, c *PeerCompare) ([]string, error) {
	dir, err := os.MkdirTemp(o.Dir, "belfry-bench-prometheus-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for Prometheus: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := b.writeOpenMetrics(filepath.Join(dir, "data.txt")); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if out, err := exec.CommandContext(ctx, "promtool", "tsdb", "create-blocks-from", "openmetrics", filepath.Join(dir, "data.txt"), data).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("promtool: %w: %s", err, out)
	}
	p, err := startPrometheus(ctx, dir, data)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	c.Version = p.version(ctx)
	if _, err := p.hits(ctx); err != nil { // the first round maps the blocks
		return nil, err
	}
	var hits []string
	began, cpu := time.Now(), p.cpu()
	for range o.Rounds {
		if hits, err = p.hits(ctx); err != nil {
			return nil, err
		}
	}
	c.PeerMillis = ms(time.Since(began)) / float64(o.Rounds)
	c.PeerCPU = float64((p.cpu() - cpu).Microseconds()) / float64(o.Rounds) / float64(o.Peer)
	return hits, nil
}

// writeOpenMetrics writes what the fleet sends as samples of three metrics.
func (b *benchFleet) writeOpenMetrics(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the samples: %w", err)
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	names := map[telemetry.DeviceID]int{}
	for i, id := range b.ids {
		names[id] = i
	}
	lines := map[string][]string{}
	line := func(metric string, id telemetry.DeviceID, v uint32, ts int64) {
		d := b.devices[names[id]]
		lines[metric] = append(lines[metric], fmt.Sprintf("%s{device=%q,site=%q} %d %d.%03d\n", metric, d.Name, d.Site, v, ts/1000, ts%1000))
	}
	collect := func(_ context.Context, batch *telemetry.Batch) error {
		for i, id := range batch.Heartbeats.Device {
			line("beat", id, 1, batch.Heartbeats.TS[i])
		}
		for i, id := range batch.Counts.Device {
			line("in", id, batch.Counts.In[i], batch.Counts.TS[i])
			line("out", id, batch.Counts.Out[i], batch.Counts.TS[i])
		}
		return nil
	}
	if err := newBenchFleet(len(b.devices), b.hours).fill(context.Background(), collect, func(string, int, int) {}); err != nil {
		return err
	}
	for _, metric := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(out, "# TYPE %s gauge\n", metric)
		for _, l := range lines[metric] {
			_, _ = out.WriteString(l)
		}
	}
	_, _ = out.WriteString("# EOF\n")
	return out.Flush()
}

// prometheus is a running one.
type prometheus struct {
	command *exec.Cmd
	url     string
}

func startPrometheus(ctx context.Context, dir, data string) (*prometheus, error) {
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: { scrape_interval: 1h }\n"), 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port for Prometheus: %w", err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	p := &prometheus{url: "http://" + address, command: exec.CommandContext(ctx, "prometheus", "--config.file="+config, "--storage.tsdb.path="+data,
		"--web.listen-address="+address, "--storage.tsdb.retention.time=100y", "--log.level=error", "--query.max-samples=500000000")}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start Prometheus: %w", err)
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for range 1200 {
		answer, err := http.Get(p.url + "/-/ready")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		select {
		case <-ctx.Done():
			p.stop()
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
	p.stop()
	return nil, errors.New("wait for Prometheus: it was not ready within a minute")
}

func (p *prometheus) stop() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait() // killed is how it ends
}

// cpu returns what the process has used.
func (p *prometheus) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond // of a hundredth of a second each
}

// hits asks both queries and returns the names found, sorted.
func (p *prometheus) hits(ctx context.Context) ([]string, error) {
	var names []string
	for _, q := range peerQueries {
		var answer struct {
			Error string `json:"error"`
			Data  struct {
				Result []struct {
					Metric map[string]string `json:"metric"`
				} `json:"result"`
			} `json:"data"`
		}
		if err := p.get(ctx, "/api/v1/query?"+url.Values{"query": {q.query}, "time": {benchAt.Format(time.RFC3339)}}.Encode(), &answer); err != nil {
			return nil, err
		}
		if answer.Error != "" {
			return nil, fmt.Errorf("ask Prometheus: %s", answer.Error)
		}
		for _, r := range answer.Data.Result {
			names = append(names, r.Metric[q.label])
		}
	}
	slices.Sort(names)
	return names, nil
}

func (p *prometheus) version(ctx context.Context) string {
	var answer struct {
		Data struct {
			Version string `json:"version"`
		} `json:"data"`
	}
	if err := p.get(ctx, "/api/v1/status/buildinfo", &answer); err != nil {
		return ""
	}
	return answer.Data.Version
}

func (p *prometheus) get(ctx context.Context, path string, into any) error {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

func (c *PeerCompare) print(out io.Writer) {
	fmt.Fprintf(out, "\ntwo rules over six hours of %d devices, %d hits on both sides\n"+
		"%-28s %10s %14s\n%-28s %10.0f %14.2f\n%-28s %10s %14.2f\n%-28s %10.0f %14.2f\nCPU of Prometheus over ours: %.0f with the scan, %.0f on columns already fetched\n",
		c.Devices, c.Hits, "", "ms", "CPU us/device", "belfry, with the scan", c.BelfryMillis, c.BelfryCPU,
		"belfry, columns fetched", "", c.BelfryColumns, "Prometheus "+c.Version, c.PeerMillis, c.PeerCPU, c.Ratio, c.ColumnsRatio)
}
