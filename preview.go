package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/dashboards"
	"belfry/incidents/store"
)

type dashboardPreviewCommand struct {
	Dir        string        `arg:"" help:"Folder to write the pictures into." type:"path"`
	Since      time.Duration `help:"How far back the pictures look." default:"168h"`
	Site       string        `help:"The site shown. Default: all." placeholder:"ID"`
	Device     string        `help:"The device shown. Default: one that sends." placeholder:"NAME"`
	Prometheus string        `help:"URL of the Prometheus that scrapes belfry; without it those panels stay empty." placeholder:"URL"`
}

// Run draws every dashboard of the belfry that holds the data folder.
func (c *dashboardPreviewCommand) Run(ctx context.Context, t *terminal) error {
	door := readHolder(t.config.Data).Door
	if door == "" {
		return errors.New("no ClickHouse door is open over this data folder; start belfry serve, and see the configuration key door.listen")
	}
	token, err := readToken(t.config.Data)
	if err != nil {
		return err
	}
	v := &viewer{door: door, token: token, prometheus: c.Prometheus}
	if v.shown, err = c.shown(ctx, v); err != nil {
		return err
	}
	pictures, err := dashboards.Preview(v.shown, func(q dashboards.Query, text string) (dashboards.Answer, error) {
		if q.SQL {
			return v.sql(ctx, text)
		}
		return v.promql(ctx, q, text)
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the pictures: %w", err)
	}
	for name, svg := range pictures {
		if err := os.WriteFile(filepath.Join(c.Dir, name+".svg"), []byte(svg), 0o644); err != nil {
			return fmt.Errorf("write the picture of %s: %w", name, err)
		}
	}
	_, err = fmt.Fprintf(t.out, "%d pictures are in %s\n", len(pictures), c.Dir)
	return err
}

// shown finds the sites and the device, where none is named.
func (c *dashboardPreviewCommand) shown(ctx context.Context, v *viewer) (dashboards.Shown, error) {
	now := time.Now().UTC()
	s := dashboards.Shown{From: now.Add(-c.Since), To: now, Sites: []string{c.Site}, Devices: []string{c.Device}}
	for _, missing := range []struct {
		list *[]string
		sql  string
	}{
		{&s.Sites, "SELECT DISTINCT site FROM devices ORDER BY site"},
		{&s.Devices, "SELECT device FROM latest ORDER BY last_arrival DESC, device LIMIT 1"},
	} {
		if (*missing.list)[0] != "" {
			continue
		}
		answer, err := v.sql(ctx, missing.sql)
		if err != nil {
			return s, err
		}
		*missing.list = nil
		for _, row := range answer.Rows {
			*missing.list = append(*missing.list, fmt.Sprint(row[0]))
		}
	}
	return s, nil
}

// viewer asks what Grafana would ask.
type viewer struct {
	door, token, prometheus string
	shown                   dashboards.Shown
}

// fetch sends a request and reads its JSON.
func fetch(req *http.Request, to any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(strings.TrimSpace(string(text)))
	}
	return json.Unmarshal(text, to)
}

// sql asks the door. Times come as seconds, the columns "time" and "timeEnd" by their names.
func (v *viewer) sql(ctx context.Context, text string) (dashboards.Answer, error) {
	q := url.Values{"default_format": {"JSONCompact"}, "output_format_json_quote_64bit_integers": {"0"}, "date_time_output_format": {"simple"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.door+"/?"+q.Encode(), strings.NewReader(text))
	if err != nil {
		return dashboards.Answer{}, err
	}
	req.SetBasicAuth(store.DefaultTenant, v.token)
	var answer struct {
		Meta []struct{ Name string }
		Data [][]any
	}
	if err := fetch(req, &answer); err != nil {
		return dashboards.Answer{}, err
	}
	out := dashboards.Answer{Rows: answer.Data}
	for i, column := range answer.Meta {
		out.Columns = append(out.Columns, column.Name)
		if column.Name == "time" || column.Name == "timeEnd" {
			for _, row := range out.Rows {
				row[i] = seconds(row[i])
			}
		}
	}
	return out, nil
}

// seconds reads a time as the door writes it.
func seconds(v any) any {
	for _, layout := range []string{"2006-01-02 15:04:05.000", time.DateTime, time.DateOnly} {
		if at, err := time.Parse(layout, fmt.Sprint(v)); err == nil {
			return float64(at.UnixMilli()) / 1000
		}
	}
	return v
}

// promSteps is how many values a line of a picture has.
const promSteps = 240

// promql asks Prometheus, and turns its series into columns.
func (v *viewer) promql(ctx context.Context, q dashboards.Query, text string) (dashboards.Answer, error) {
	if v.prometheus == "" {
		return dashboards.Answer{}, errors.New("of Prometheus: give --prometheus URL")
	}
	unix := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	ask, values := "/api/v1/query", url.Values{"query": {text}, "time": {unix(v.shown.To)}}
	if !q.Now {
		step := max(1, int(v.shown.To.Sub(v.shown.From).Seconds())/promSteps)
		ask, values = "/api/v1/query_range", url.Values{"query": {text}, "start": {unix(v.shown.From)}, "end": {unix(v.shown.To)}, "step": {strconv.Itoa(step)}}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(v.prometheus, "/")+ask+"?"+values.Encode(), nil)
	if err != nil {
		return dashboards.Answer{}, err
	}
	var answer struct{ Data struct{ Result []promSeries } }
	if err := fetch(req, &answer); err != nil {
		return dashboards.Answer{}, err
	}
	return columns(q, answer.Data.Result), nil
}

// promSeries is a series as Prometheus answers it: one value, or many.
type promSeries struct {
	Metric map[string]string
	Value  []any
	Values [][]any
}

var label = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)

// columns puts series side by side, by their times.
func columns(q dashboards.Query, series []promSeries) dashboards.Answer {
	out := dashboards.Answer{Columns: []string{"time"}}
	rows := map[float64][]any{}
	for i, s := range series {
		out.Columns = append(out.Columns, label.ReplaceAllStringFunc(q.Legend, func(m string) string { return s.Metric[m[2:len(m)-2]] }))
		if s.Value != nil {
			s.Values = [][]any{s.Value}
		}
		for _, pair := range s.Values {
			at, _ := pair[0].(float64)
			if rows[at] == nil {
				rows[at] = make([]any, len(series)+1)
				rows[at][0] = at
			}
			if n, err := strconv.ParseFloat(fmt.Sprint(pair[1]), 64); err == nil {
				rows[at][i+1] = n
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(rows)) {
		out.Rows = append(out.Rows, rows[at])
	}
	return out
}
