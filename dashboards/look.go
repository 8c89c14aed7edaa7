package dashboards

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// look is how a panel, or a column of it, shows a value.
type look struct {
	unit   string
	bounds []dashboard.Threshold
}

// lookOf returns the look of a column: the panel's own, but for what it overrides.
func lookOf(p dashboard.Panel, column string) (l look) {
	if p.FieldConfig == nil {
		return l
	}
	if u := p.FieldConfig.Defaults.Unit; u != nil {
		l.unit = *u
	}
	if th := p.FieldConfig.Defaults.Thresholds; th != nil {
		l.bounds = th.Steps
	}
	for _, o := range p.FieldConfig.Overrides {
		if name, ok := o.Matcher.Options.(*string); !ok || *name != column {
			continue
		}
		for _, property := range o.Properties {
			switch v := property.Value.(type) {
			case string:
				if property.Id == "unit" {
					l.unit = v
				}
			case dashboard.ThresholdsConfig:
				l.bounds = v.Steps
			}
		}
	}
	return l
}

// The colours of bounds: dark enough to be read on white, and bright ones for areas.
var (
	fills = map[string]string{"text": "#d1d5db", "green": "#16a34a", "yellow": "#eab308", "red": "#dc2626"}
	inks  = map[string]string{"text": "#111827", "green": "#15803d", "yellow": "#a16207", "red": "#dc2626"}
)

// ink is the colour of a value by its bounds.
func (l look) ink(v any) string { return inks[l.colour(v)] }

func (l look) colour(v any) string {
	colour := "text"
	for _, step := range l.bounds {
		if n, ok := finite(v); ok && (step.Value == nil || n >= *step.Value) {
			colour = step.Color
		}
	}
	return colour
}

var endings = map[string]string{units.Percent: " %", units.Celsius: " °C", units.DecibelMilliWatt: " dBm", units.Days: " days", units.CountsPerMinute: "/min"}

// says writes a value with its unit.
func (l look) says(v any) string {
	if labels, ok := v.(map[string]any); ok {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			pairs = append(pairs, fmt.Sprintf("%s: %v", name, labels[name]))
		}
		return strings.Join(pairs, ", ")
	}
	n, ok := finite(v)
	switch {
	case !ok:
		return cell(v)
	case l.unit == units.Seconds || l.unit == units.DurationSeconds:
		return scaled(n, []string{"s", "min", "h", "d"}, 60, 60, 24)
	case l.unit == units.BytesIEC:
		return scaled(n, []string{"B", "KiB", "MiB", "GiB", "TiB"}, 1024, 1024, 1024, 1024)
	}
	return cell(v) + endings[l.unit]
}

// scaled writes a value in the largest of some units of which it has one.
func scaled(n float64, names []string, steps ...float64) string {
	i := 0
	for i < len(steps) && math.Abs(n) >= steps[i] {
		n /= steps[i]
		i++
	}
	return fmt.Sprintf("%.3g %s", n, names[i])
}
