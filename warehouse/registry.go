package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"belfry/telemetry"
	"belfry/telemetry/holidays"
)

// PutSites copies sites of the registry into the warehouse, as of a revision of
// the registry. A copy of an older revision does not replace a newer one.
func (w *Warehouse) PutSites(ctx context.Context, sites []telemetry.Site, revision uint64) error {
	type row struct {
		Site       string            `json:"site"`
		Name       string            `json:"name"`
		Zone       string            `json:"zone"`
		Status     string            `json:"status"`
		Labels     map[string]string `json:"labels"`
		Contact    string            `json:"contact"`
		Hours      [][3]int          `json:"hours"`      // weekday from Monday (1), minutes since midnight
		Exceptions [][3]any          `json:"exceptions"` // date, minutes since midnight
		Holidays   string            `json:"holidays"`   // the place that they are of
		Revision   uint64            `json:"revision"`
	}
	rows := make([]any, len(sites))
	for i, s := range sites {
		rows[i] = row{s.ID, s.Name, s.Zone, string(s.Status), labels(s.Labels), s.Contact, weekly(s.Hours), dated(&s), s.Holidays.Of, revision}
	}
	if err := w.putHolidays(ctx, sites, revision); err != nil {
		return err
	}
	if err := w.insertRows(ctx, "raw_sites", rows); err != nil {
		return fmt.Errorf("copy %d sites: %w", len(sites), err)
	}
	return nil
}

// weekly lists the opening hours of a week.
func weekly(h telemetry.Hours) [][3]int {
	out := [][3]int{}
	for day, spans := range h {
		for _, s := range spans {
			out = append(out, [3]int{(day+6)%7 + 1, s.From, s.To})
		}
	}
	return out
}

// dated lists the hours of the days that have others, those of public holidays under the
// name of the place; those of a closed day end as they begin. A date of every year with the
// hours of its weekday is left out.
func dated(s *telemetry.Site) [][3]any {
	out := [][3]any{}
	days := s.Exceptions
	if of := s.Holidays.Of; of != "" {
		days = append(slices.Clip(days), *s.Holidays.Exception(of, ""))
	}
	for i := range days {
		e := &days[i]
		day, err := time.Parse(time.DateOnly, e.Date)
		if err != nil && e.Usual() && e.As == "" {
			continue
		}
		spans := s.HoursOn(e, day.Weekday())
		if len(spans) == 0 {
			spans = []telemetry.Span{{}}
		}
		for _, span := range spans {
			out = append(out, [3]any{e.Date, span.From, span.To})
		}
	}
	return out
}

// putHolidays copies the public holidays of this century of the places where sites are.
func (w *Warehouse) putHolidays(ctx context.Context, sites []telemetry.Site, revision uint64) error {
	type row struct {
		Place    string   `json:"place"`
		Dates    []string `json:"dates"`
		Names    []string `json:"names"`
		Revision uint64   `json:"revision"`
	}
	var rows []any
	seen := map[string]bool{"": true}
	for i := range sites {
		r := row{Place: sites[i].Holidays.Of, Revision: revision}
		if seen[r.Place] {
			continue
		}
		seen[r.Place] = true
		for year := 2000; year < 2100; year++ {
			days := holidays.In(r.Place, year)
			for _, date := range slices.Sorted(maps.Keys(days)) {
				r.Dates, r.Names = append(r.Dates, date), append(r.Names, days[date])
			}
		}
		rows = append(rows, r)
	}
	if err := w.insertRows(ctx, "raw_holidays", rows); err != nil {
		return fmt.Errorf("copy the holidays of %d places: %w", len(rows), err)
	}
	return nil
}

// PutDevices copies devices of the registry into the warehouse, as PutSites
// does with sites.
func (w *Warehouse) PutDevices(ctx context.Context, devices []telemetry.Device, revision uint64) error {
	type row struct {
		ID             uint64            `json:"id"`
		Device         string            `json:"device"`
		Site           string            `json:"site"`
		Status         string            `json:"status"`
		Labels         map[string]string `json:"labels"`
		HeartbeatEvery int               `json:"heartbeat_every"`
		ReadingEvery   int               `json:"reading_every"`
		InServiceSince string            `json:"in_service_since"`
		RetiredAt      string            `json:"retired_at"`
		SelfRegistered bool              `json:"self_registered"`
		Revision       uint64            `json:"revision"`
	}
	rows := make([]any, len(devices))
	for i, d := range devices {
		rows[i] = row{uint64(telemetry.IDOf(d.Name)), d.Name, d.Site, string(d.Status), labels(d.Labels), d.HeartbeatEvery,
			d.ReadingEvery, timestamp(d.InServiceSince), timestamp(d.RetiredAt), d.SelfRegistered, revision}
	}
	if err := w.insertRows(ctx, "raw_devices", rows); err != nil {
		return fmt.Errorf("copy %d devices: %w", len(devices), err)
	}
	return nil
}

// RegistryRevisions returns the revisions of the registry up to which its sites
// and its devices have been copied.
func (w *Warehouse) RegistryRevisions(ctx context.Context) (sites, devices uint64, err error) {
	out, err := w.Query(ctx, "registry_revisions",
		"SELECT (SELECT max(revision) FROM {db}.raw_sites) AS sites, (SELECT max(revision) FROM {db}.raw_devices) AS devices"+
			" SETTINGS output_format_json_quote_64bit_integers = 0", "JSONEachRow", nil)
	if err != nil {
		return 0, 0, err
	}
	var row struct{ Sites, Devices uint64 }
	if err := json.Unmarshal(out, &row); err != nil {
		return 0, 0, fmt.Errorf("read the registry's revisions: %w", err)
	}
	return row.Sites, row.Devices, nil
}

func (w *Warehouse) insertRows(ctx context.Context, table string, rows []any) error {
	if len(rows) == 0 {
		return nil
	}
	var data []byte
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		data = append(append(data, line...), '\n')
	}
	return w.engine.Insert(ctx, "INSERT INTO "+w.db+"."+table, "JSONEachRow", data)
}

// labels returns the map, or an empty one: the engine takes no null there.
func labels(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// timestamp writes an instant for DateTime64(3, 'UTC'); none is 1970.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return "1970-01-01 00:00:00.000"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}
