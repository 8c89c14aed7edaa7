package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/api/page"
	"belfry/telemetry"
)

// addPage adds the pages for people to the tenant's API.
func (w *watch) addPage(parts *api.Parts) {
	if w.options.private || !w.has("api") {
		return
	}
	fleet := page.Fleet{Desk: w.desk, Registry: w.tickets, Now: time.Now, Log: w.log}
	if w.warehouse != nil {
		fleet.Health, fleet.Heard, fleet.Hours, fleet.Vitals = w.pageHealth, w.pageHeard, w.pageHours, w.pageVitals
	}
	if w.consumer != nil {
		fleet.Lag = w.pageLag
	}
	parts.Page, parts.PagePaths = page.New(fleet).For, page.Paths
}

// pageLag is how far the worst partition is behind.
func (w *watch) pageLag() (lag time.Duration) {
	for _, part := range w.consumer.Status().Partitions {
		lag = max(lag, time.Duration(part.LagSeconds*float64(time.Second)))
	}
	return lag
}

// pageHealth counts the active devices of each site by whether they were heard of.
// Those of a closed site are not expected to speak.
func (w *watch) pageHealth(ctx context.Context, site string, at time.Time) ([]page.Health, error) {
	return asked[page.Health](w.warehouse.Query(ctx, "page_health", `
SELECT d.site AS Site, count() AS Devices, countIf(l.last_arrival <= fromUnixTimestamp64Milli({since:Int64}, 'UTC')) AS Silent,
       countIf(toUnixTimestamp(l.last_arrival) = 0) AS Never
FROM {db}.devices AS d LEFT JOIN {db}.latest AS l ON l.device = d.device
WHERE d.status = 'active' AND d.in_service_since <= fromUnixTimestamp64Milli({at:Int64}, 'UTC') AND ({site:String} = '' OR d.site = {site:String})
  AND d.site NOT IN (SELECT site FROM {db}.sites WHERE status = 'closed')
GROUP BY Site SETTINGS output_format_json_quote_64bit_integers = 0`, "JSONEachRow", map[string]string{
		"site": site, "at": fmt.Sprint(at.UnixMilli()), "since": fmt.Sprint(at.Add(-page.SilentAfter).UnixMilli())}))
}

// pageHeard says when devices of a site, or one device, were last heard of.
func (w *watch) pageHeard(ctx context.Context, site, device string) (map[string]time.Time, error) {
	rows, err := asked[struct {
		Device string
		Heard  int64
	}](w.warehouse.Query(ctx, "page_heard", `
SELECT device AS Device, toUnixTimestamp64Milli(last_arrival) AS Heard FROM {db}.latest
WHERE site = {site:String} AND ({device:String} = '' OR device = {device:String}) AND toUnixTimestamp(last_arrival) > 0
SETTINGS output_format_json_quote_64bit_integers = 0`, "JSONEachRow", map[string]string{"site": site, "device": device}))
	heard := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		heard[r.Device] = time.UnixMilli(r.Heard).UTC()
	}
	return heard, err
}

// pageHours returns what a device counted in the week before an instant beside
// what is usual, as the rules see it.
func (w *watch) pageHours(ctx context.Context, d telemetry.Device, s telemetry.Site, at time.Time) ([]page.Hour, error) {
	// A picture shows six days before the instant of its finding and one after it.
	f := telemetry.Finding{Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: d.Name}, Site: s.ID, At: at.Add(-24 * time.Hour)}
	from, to := analyzer.PictureSpan(f)
	// Half hours are whole in every zone that has people.
	rows, err := w.warehouse.Readings(ctx, d.Name, from, to, 30*time.Minute, 50_000)
	if err != nil {
		return nil, err
	}
	b := &telemetry.Batch{}
	d.ReadingEvery = max(d.ReadingEvery, 1800)
	for _, r := range rows {
		c := &b.Counts
		c.Device, c.Interval = append(c.Device, telemetry.IDOf(d.Name)), append(c.Interval, uint32(d.ReadingEvery))
		c.TS, c.Arrival, c.Offset = append(c.TS, r.TS.UnixMilli()), append(c.Arrival, r.TS.UnixMilli()), append(c.Offset, 0)
		c.In, c.Out = append(c.In, uint32(r.In)), append(c.Out, uint32(r.Out))
	}
	picture, err := analyzer.NewPicture(ctx, f, s, d, b)
	if err != nil {
		return nil, err
	}
	hours := make([]page.Hour, len(picture.Hours))
	for i, h := range picture.Hours {
		hours[i] = page.Hour{End: h.End, Known: h.Known, In: h.In, Out: h.Out, Usual: h.Base, Spread: h.Spread}
	}
	return hours, nil
}

// pageVitals returns what a device said of itself, by hour.
func (w *watch) pageVitals(ctx context.Context, device string, from, to time.Time) (v page.Vitals, err error) {
	rows, err := asked[struct {
		Hour, Last                         int64
		Beats                              float64
		Temp, Signal, LastTemp, LastSignal *float64
		Firmware                           string
	}](w.warehouse.Query(ctx, "page_vitals", `
SELECT toUnixTimestamp(toStartOfHour(ts)) AS Hour, toUnixTimestamp64Milli(max(ts)) AS Last, count() AS Beats, argMax(fw, ts) AS Firmware,
       avgIf(measurements['temp'], mapContains(measurements, 'temp')) AS Temp, avgIf(measurements['rssi'], mapContains(measurements, 'rssi')) AS Signal,
       if(isNaN(Temp), nan, argMaxIf(measurements['temp'], ts, mapContains(measurements, 'temp'))) AS LastTemp,
       if(isNaN(Signal), nan, argMaxIf(measurements['rssi'], ts, mapContains(measurements, 'rssi'))) AS LastSignal
FROM {db}.heartbeats
WHERE device = {device:String} AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
GROUP BY Hour ORDER BY Hour SETTINGS output_format_json_quote_64bit_integers = 0`, "JSONEachRow", map[string]string{
		"device": device, "from": fmt.Sprint(from.UnixMilli()), "to": fmt.Sprint(to.UnixMilli())}))
	v.Temp, v.Signal = math.NaN(), math.NaN()
	for _, r := range rows {
		v.Hours = append(v.Hours, page.VitalHour{Start: time.Unix(r.Hour, 0).UTC(), Beats: r.Beats, Temp: known(r.Temp, math.NaN()), Signal: known(r.Signal, math.NaN())})
		v.Last, v.Firmware = time.UnixMilli(r.Last).UTC(), r.Firmware
		v.Temp, v.Signal = known(r.LastTemp, v.Temp), known(r.LastSignal, v.Signal)
	}
	return v, err
}

// known is a number that is there, or else another.
func known(v *float64, otherwise float64) float64 {
	if v == nil {
		return otherwise
	}
	return *v
}

// asked reads rows that came as one JSON object each.
func asked[T any](text []byte, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var rows []T
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var row T
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
}
