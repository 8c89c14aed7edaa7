package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// steps are for what should be small: yellow from so much on, and red.
func steps(yellow, red float64) []dashboard.Threshold {
	return []dashboard.Threshold{{Color: "green"}, {Color: "yellow", Value: cog.ToPtr(yellow)}, {Color: "red", Value: cog.ToPtr(red)}}
}

// floor is for what should be large: red, yellow from so much on, and green.
func floor(yellow, green float64) []dashboard.Threshold {
	return []dashboard.Threshold{{Color: "red"}, {Color: "yellow", Value: cog.ToPtr(yellow)}, {Color: "green", Value: cog.ToPtr(green)}}
}

// atLeast is for what is wrong below a value, and well above it.
func atLeast(green float64) []dashboard.Threshold {
	return []dashboard.Threshold{{Color: "red"}, {Color: "green", Value: cog.ToPtr(green)}}
}

// around is for what should be near zero, to either side.
func around(yellow, red float64) []dashboard.Threshold {
	return append([]dashboard.Threshold{{Color: "red"}, {Color: "yellow", Value: cog.ToPtr(-red)}, {Color: "green", Value: cog.ToPtr(-yellow)}},
		steps(yellow, red)[1:]...)
}

// The bounds that several panels share. Those of discrepancy, completeness and
// silence are where the shipped rules begin to look, and where nobody doubts.
var (
	silences      = steps(3600, 86400)
	discrepancies = steps(5, 10)
	complete      = floor(80, 95)
	slow          = steps(0.5, 2)
	// 1 is the most urgent, and 0 says that nobody has set one.
	priorities = []dashboard.Threshold{{Color: "text"}, {Color: "red", Value: cog.ToPtr(1.0)}, {Color: "yellow", Value: cog.ToPtr(2.0)}, {Color: "green", Value: cog.ToPtr(3.0)}}
)

func absolute(steps []dashboard.Threshold) *dashboard.ThresholdsConfigBuilder {
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

// coloured colours a number by its bounds.
func coloured(p *stat.PanelBuilder, bounds []dashboard.Threshold) *stat.PanelBuilder {
	return p.Thresholds(absolute(bounds)).ColorMode(common.BigValueColorModeValue)
}

// bounded draws bounds as dashed lines over values in time.
func bounded(p *timeseries.PanelBuilder, bounds []dashboard.Threshold) *timeseries.PanelBuilder {
	return p.Thresholds(absolute(bounds)).
		ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
}

// marked colours a column of a table by its bounds; a unit of "" is that of the panel.
func marked(p *table.PanelBuilder, column, unit string, bounds []dashboard.Threshold) *table.PanelBuilder {
	properties := []dashboard.DynamicConfigValue{
		{Id: "thresholds", Value: dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: bounds}},
		{Id: "color", Value: map[string]any{"mode": "thresholds"}},
		{Id: "custom.cellOptions", Value: map[string]any{"type": "color-text"}},
	}
	if unit != "" {
		properties = append(properties, dashboard.DynamicConfigValue{Id: "unit", Value: unit})
	}
	return p.OverrideByName(column, properties)
}
