package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/telemetry"
)

type rulesBacktestCommand struct {
	Files []string `arg:"" optional:"" help:"Rule files; without any, the running rules."`
	From  string   `help:"Begin: RFC 3339 or a date (UTC). Default: 28 days before the end." placeholder:"TIME"`
	To    string   `help:"End. Default: now." placeholder:"TIME"`
	JSON  bool     `help:"Print the whole report as JSON, with each finding and its evidence."`

	Labels  string `help:"CSV file of spans with known faults (dataset, device, start, end, kind, basis, note; local times, or RFC 3339): prints precision, recall and time to detect." placeholder:"FILE"`
	Dataset string `help:"Take only the labels of this dataset."`
	HTML    string `name:"html" help:"Write a page with a picture for each finding about a device or a site." placeholder:"FILE"`
}

// Run asks for a backtest and prints its report.
func (c *rulesBacktestCommand) Run(ctx context.Context, t *terminal) error {
	ask := api.BacktestQuery{Findings: true}
	var err error
	if ask.From, ask.To, err = c.span(time.Now()); err != nil {
		return usageError{err}
	}
	if ask.Files, err = askedFiles(c.Files); err != nil {
		return err
	}
	client, err := t.connect(ctx, "warehouse")
	if err != nil {
		return err
	}
	defer client.close()
	answer, report, err := client.backtest(ctx, t, "backtest", ask)
	if err != nil {
		return err
	}
	if c.Labels != "" {
		if err := c.score(ctx, client, &report); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		if err := c.page(ctx, t, client, &report); err != nil {
			return err
		}
	}
	switch {
	case c.JSON && c.Labels == "": // byte by byte what was answered
		_, err := t.out.Write(append(answer, '\n'))
		return err
	case c.JSON:
		return t.printJSON(&report)
	}
	if err := t.printReport(&report); err != nil {
		return err
	}
	return t.printScores(&report)
}

// page writes the report with its pictures, whose readings it asks for.
func (c *rulesBacktestCommand) page(ctx context.Context, t *terminal, client *client, r *analyzer.Report) error {
	devices, err := list[telemetry.Device](ctx, client, "/api/v1/devices", url.Values{})
	if err != nil {
		return err
	}
	sites, err := list[telemetry.Site](ctx, client, "/api/v1/sites", url.Values{})
	if err != nil {
		return err
	}
	bar := t.progress(int64(len(r.Findings)), "pictures")
	var pictures []*analyzer.Picture
	for i, f := range r.Findings {
		_ = bar.Add(1)
		if !analyzer.Drawn(f) || len(pictures) == analyzer.PicturesMost {
			continue
		}
		picture, err := client.picture(ctx, f, sites, devices)
		if err != nil {
			return err
		}
		if picture == nil {
			continue
		}
		for _, later := range r.Findings[i+1:] {
			if later.Rule == f.Rule && later.Scope == f.Scope && later.Condition == telemetry.Clear {
				picture.Cleared = later.At
				break
			}
		}
		pictures = append(pictures, picture)
	}
	_ = bar.Finish()
	var page bytes.Buffer
	if err := analyzer.WritePage(&page, r, pictures); err != nil {
		return err
	}
	if err := os.WriteFile(c.HTML, page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// picture draws a finding; nil when it is about neither a device nor a site. A site
// is drawn as the sum of its devices.
func (c *client) picture(ctx context.Context, f telemetry.Finding, sites []telemetry.Site, devices []telemetry.Device) (*analyzer.Picture, error) {
	s := slices.IndexFunc(sites, func(s telemetry.Site) bool { return s.ID == f.Site })
	if s < 0 {
		return nil, nil
	}
	from, to := analyzer.PictureSpan(f)
	hours := map[time.Time]api.Reading{}
	for _, d := range devices {
		if d.Site != f.Site || f.Scope.Level == telemetry.LevelDevice && d.Name != f.Scope.Name {
			continue
		}
		var answer struct {
			Readings []api.Reading `json:"readings"`
		}
		query := url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}, "step": {"1h"}}
		if err := c.call(ctx, "GET", "/api/v1/devices/"+url.PathEscape(d.Name)+"/readings?"+query.Encode(), nil, &answer); err != nil {
			return nil, err
		}
		for _, r := range answer.Readings {
			sum := hours[r.TS]
			sum.In, sum.Out = sum.In+r.In, sum.Out+r.Out
			hours[r.TS] = sum
		}
	}
	name := f.Scope.Name
	b := &telemetry.Batch{}
	for ts, r := range hours {
		counts := &b.Counts
		counts.Device, counts.Interval = append(counts.Device, telemetry.IDOf(name)), append(counts.Interval, 3600)
		counts.TS, counts.Arrival, counts.Offset = append(counts.TS, ts.UnixMilli()), append(counts.Arrival, ts.UnixMilli()), append(counts.Offset, 0)
		counts.In, counts.Out = append(counts.In, uint32(r.In)), append(counts.Out, uint32(r.Out))
	}
	return analyzer.NewPicture(ctx, f, sites[s], telemetry.Device{Name: name, Site: f.Site, ReadingEvery: 3600}, b)
}

// score holds the report against the labels, whose times are those of each
// device's site.
func (c *rulesBacktestCommand) score(ctx context.Context, client *client, r *analyzer.Report) error {
	devices, err := list[telemetry.Device](ctx, client, "/api/v1/devices", url.Values{})
	if err != nil {
		return err
	}
	sites, err := list[telemetry.Site](ctx, client, "/api/v1/sites", url.Values{})
	if err != nil {
		return err
	}
	siteOf, zoneOf := map[string]string{}, map[string]*time.Location{}
	for _, d := range devices {
		siteOf[d.Name] = d.Site
	}
	for i := range sites {
		zoneOf[sites[i].ID] = sites[i].Location()
	}
	f, err := os.Open(c.Labels)
	if err != nil {
		return fmt.Errorf("read the labels: %w", err)
	}
	defer f.Close()
	labels, err := analyzer.ReadLabels(f, c.Dataset, func(device string) *time.Location {
		if zone := zoneOf[siteOf[device]]; zone != nil {
			return zone
		}
		return time.UTC
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.Labels, err)
	}
	r.Score(labels, func(device string) string { return siteOf[device] })
	return nil
}

func (t *terminal) printScores(r *analyzer.Report) error {
	if r.Kinds == nil {
		return nil
	}
	var rows [][]string
	for _, k := range r.Kinds {
		rows = append(rows, []string{k.Kind, strconv.Itoa(k.Spans), strconv.Itoa(k.Found), fmt.Sprintf("%.2f", k.Recall), k.Detect.String()})
	}
	fmt.Fprintln(t.out)
	if err := t.printTable("KIND SPANS FOUND RECALL DETECTED-AFTER", rows); err != nil {
		return err
	}
	rows = nil
	for _, p := range r.Precision {
		rows = append(rows, []string{p.Rule, strconv.Itoa(p.Opened), strconv.Itoa(p.Labelled), fmt.Sprintf("%.2f", p.Precision)})
	}
	fmt.Fprintln(t.out)
	return t.printTable("RULE OPENED IN-LABELLED-SPANS PRECISION", rows)
}

func (c *rulesBacktestCommand) span(now time.Time) (from, to time.Time, err error) {
	to = now.UTC().Truncate(time.Second)
	if c.To != "" {
		if to, err = parseTime(c.To); err != nil {
			return from, to, fmt.Errorf("--to: %w", err)
		}
	}
	from = to.AddDate(0, 0, -28)
	if c.From != "" {
		if from, err = parseTime(c.From); err != nil {
			return from, to, fmt.Errorf("--from: %w", err)
		}
	}
	if !from.Before(to) {
		return from, to, fmt.Errorf("--from %s is not before --to %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	return from, to, nil
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; want a form like 2026-03-27T11:00:00Z or 2026-03-27", text)
}

func (t *terminal) printReport(r *analyzer.Report) error {
	fmt.Fprintf(t.out, "%s to %s: %s on %s, %s\n\n", r.From.Format(time.RFC3339), r.To.Format(time.RFC3339),
		counted(r.Devices, "device"), counted(r.Sites, "site"), counted(r.Rows, "reading"))
	var rows [][]string
	for _, x := range r.Rules {
		rows = append(rows, []string{x.Rule, strconv.Itoa(x.Opened), strconv.Itoa(x.Cleared), strconv.Itoa(x.HitDays),
			strconv.Itoa(x.Scopes), fmt.Sprintf("%.2f", x.PerThousandWeek)})
	}
	if err := t.printTable("RULE OPENED CLEARED DAYS-HELD SCOPES PER-1000-DEVICES-AND-WEEK", rows); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "\n%s after roll-up, %.2f for each 1,000 devices and week%s\n", counted(len(r.Incidents), "incident"), r.PerThousandWeek, unlabelled(r))
	t.printAilments(r)
	rows = nil
	for _, f := range r.Findings {
		rows = append(rows, []string{f.At.Format(time.RFC3339), f.Rule, f.Scope.String(), string(f.Condition), f.Summary})
	}
	fmt.Fprintln(t.out)
	return t.printTable("AT RULE SCOPE CONDITION SUMMARY", rows)
}

// printAilments says which rules could not do what they say.
func (t *terminal) printAilments(r *analyzer.Report) {
	for i, a := range r.Ailments {
		if i == 0 {
			fmt.Fprintln(t.out)
		}
		until := ""
		if !a.Until.IsZero() {
			until = " (until " + a.Until.Format(time.RFC3339) + ")"
		}
		fmt.Fprintln(t.out, a.What+until)
	}
}

// unlabelled says how many incidents lie in no labelled span; nothing without labels.
func unlabelled(r *analyzer.Report) string {
	if r.Kinds == nil {
		return ""
	}
	return fmt.Sprintf("; %d of them in no labelled span", len(r.Unlabelled))
}

// backtest asks for a report, shows that it takes its time, and returns the
// report as it came and as it reads.
func (c *client) backtest(ctx context.Context, t *terminal, what string, ask api.BacktestQuery) (answer json.RawMessage, report analyzer.Report, err error) {
	bar := t.progress(-1, what)
	err = c.call(ctx, "POST", "/api/v1/rules/backtest", ask, &answer)
	_ = bar.Finish()
	if err != nil {
		return nil, report, err
	}
	if err := json.Unmarshal(answer, &report); err != nil {
		return nil, report, fmt.Errorf("read the report: %w", err)
	}
	return answer, report, nil
}
