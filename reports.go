package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"belfry/api"
	"belfry/incidents"
)

type reportsCommand struct {
	From string `help:"Incidents opened from then on: RFC 3339 or a date (UTC). Default: 30 days before the end." placeholder:"TIME"`
	To   string `help:"And before then. Default: now." placeholder:"TIME"`
	By   string `help:"Figures for each site, category, level, rule or priority."`
	Site string `help:"Only of this site." placeholder:"ID"`
	JSON bool   `help:"Print JSON." xor:"form"`
	CSV  bool   `name:"csv" help:"Print CSV, for a spreadsheet." xor:"form"`
}

// Run prints figures.
func (c *reportsCommand) Run(ctx context.Context, t *terminal) error {
	query, err := c.query(time.Now().UTC())
	if err != nil {
		return usageError{err}
	}
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	path := "/api/v1/reports?" + query.Encode()
	if c.CSV {
		var text json.RawMessage
		if err := door.call(ctx, "GET", path+"&format=csv", nil, &text); err != nil {
			return err
		}
		_, err := t.out.Write(text)
		return err
	}
	var page api.Page[incidents.Figures]
	if err := door.call(ctx, "GET", path, nil, &page); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(page.Items)
	}
	return t.printFigures(page.Items)
}

func (c *reportsCommand) query(now time.Time) (url.Values, error) {
	to := now
	var err error
	if c.To != "" {
		if to, err = parseTime(c.To); err != nil {
			return nil, err
		}
	}
	from := to.AddDate(0, 0, -30)
	if c.From != "" {
		if from, err = parseTime(c.From); err != nil {
			return nil, err
		}
	}
	query := url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}
	for name, value := range map[string]string{"by": c.By, "site": c.Site} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query, nil
}

// printFigures writes the figures that a person looks at first; all of them are
// in the JSON and the CSV.
func (t *terminal) printFigures(list []incidents.Figures) error {
	var rows [][]string
	for _, f := range list {
		group := f.Group
		if group == "" {
			group = "all"
		}
		rows = append(rows, []string{group, strconv.Itoa(f.Opened), strconv.Itoa(f.Open), strconv.Itoa(f.Resolved), spanOf(f.ResponseMedian), spanOf(f.ResolveMedian),
			spanOf(f.ResolveBusiness), strconv.Itoa(f.RespondBreaches + f.ResolveBreaches), strconv.Itoa(f.Reopenings), percent(f.FirstContactShare),
			percent(f.FalsePositiveRate), score(f.Satisfaction)})
	}
	return t.printTable("GROUP OPENED OPEN RESOLVED RESPONSE RESOLUTION IN-BUSINESS-HOURS BREACHES REOPENINGS FIRST-CONTACT FALSE-POSITIVES SATISFACTION", rows)
}

func spanOf(seconds *int64) string {
	if seconds == nil {
		return "-"
	}
	return lasting(*seconds)
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", *share*100)
}

func score(points *float64) string {
	if points == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *points)
}
