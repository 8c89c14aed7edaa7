package dashboards

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Query is one query of a dashboard: of a panel, or of a variable.
type Query struct {
	Dashboard string // name of its file, without the ending
	Panel     string // title of the panel, or $NAME of the variable
	SQL       bool   // ClickHouse SQL; otherwise PromQL
	Text      string // with Grafana's macros and variables
	Now       bool   // for the end of the time shown only
	Legend    string // of PromQL series: their names, with {{label}}
}

// Queries returns all queries of all dashboards, in a fixed order.
func Queries() ([]Query, error) {
	built, err := all()
	if err != nil {
		return nil, err
	}
	var out []Query
	for _, name := range slices.Sorted(maps.Keys(built)) {
		d := built[name]
		for _, v := range d.Templating.List {
			if v.Type == "query" && v.Query != nil && v.Query.String != nil {
				out = append(out, Query{Dashboard: name, Panel: "$" + v.Name, SQL: true, Text: *v.Query.String})
			}
		}
		if d.Annotations.List != nil {
			for _, a := range d.Annotations.List {
				q, err := queryOf(a.Target)
				if err != nil {
					return nil, fmt.Errorf("dashboard %s, annotation %s: %w", name, a.Name, err)
				}
				q.Dashboard, q.Panel = name, "annotation "+a.Name
				out = append(out, q)
			}
		}
		for _, p := range d.Panels {
			if p.Panel == nil || p.Panel.Title == nil {
				continue
			}
			for _, target := range p.Panel.Targets {
				q, err := queryOf(target)
				if err != nil {
					return nil, fmt.Errorf("dashboard %s, panel %s: %w", name, *p.Panel.Title, err)
				}
				q.Dashboard, q.Panel = name, *p.Panel.Title
				out = append(out, q)
			}
		}
	}
	return out, nil
}

func queryOf(target variants.Dataquery) (Query, error) {
	switch t := target.(type) {
	case sqlQuery:
		return Query{SQL: true, Text: t.SQL}, nil
	case prometheus.Dataquery:
		return ofProm(t), nil
	case *prometheus.Dataquery:
		return ofProm(*t), nil
	}
	return Query{}, fmt.Errorf("a query of type %T", target)
}

func ofProm(q prometheus.Dataquery) Query {
	out := Query{Text: q.Expr, Now: q.Instant != nil && *q.Instant}
	if q.LegendFormat != nil {
		out.Legend = *q.LegendFormat
	}
	return out
}

// Shown is what a person looks at in Grafana.
type Shown struct {
	From, To time.Time
	Sites    []string // chosen in the variable site
	Devices  []string // chosen in the variable device
	Database string   // put before the views; "" leaves it to the connection
}

var (
	timeFilter = regexp.MustCompile(`\$__timeFilter\(([^)]*)\)`)
	viewName   = regexp.MustCompile(`\b(FROM|JOIN) ([a-z]+)`)
)

// Expand replaces Grafana's macros and variables as Grafana and its plugins do.
func (q Query) Expand(s Shown) string {
	if !q.SQL {
		return strings.NewReplacer("$tenant", ".*", "$__rate_interval", "1m", "$__range", fmt.Sprintf("%ds", max(1, int(s.To.Sub(s.From).Seconds())))).Replace(q.Text)
	}
	stamp := func(t time.Time) string { return fmt.Sprintf("toDateTime(%d)", t.Unix()) }
	text := timeFilter.ReplaceAllString(q.Text, "$1 >= "+stamp(s.From)+" AND $1 <= "+stamp(s.To))
	if s.Database != "" {
		text = viewName.ReplaceAllString(text, "$1 "+s.Database+".$2")
	}
	return strings.NewReplacer("$__fromTime", stamp(s.From), "$__toTime", stamp(s.To),
		"${site:singlequote}", quoted(s.Sites), "${device:singlequote}", quoted(s.Devices)).Replace(text)
}

func quoted(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = "'" + strings.ReplaceAll(name, "'", `\'`) + "'"
	}
	return strings.Join(list, ",")
}
