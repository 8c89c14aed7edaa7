package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/incidents"
)

// ends reports whether a step says something new about how its incident ended.
func ends(s *incidents.Step) bool {
	was, is := remembered(&s.Before), remembered(&s.After)
	return was != is || is && (s.Before.State != s.After.State || s.Before.Resolution.Code != s.After.Resolution.Code || s.Before.Level != s.After.Level)
}

// remembered reports whether an incident's end is worth a row.
func remembered(inc *incidents.Incident) bool { return inc.EndedByPerson() || inc.Counts() }

// saveEnding writes how an incident ended, or forgets it when it is open again.
func (t *ticketTx) saveEnding(id int64, inc *incidents.Incident) error {
	if !remembered(inc) {
		if _, err := t.tx.ExecContext(t.ctx, "DELETE FROM endings WHERE incident = ?", id); err != nil {
			return fmt.Errorf("forget how %s ended: %w", inc.Ref, err)
		}
		return nil
	}
	made, err := incidents.MakeOf(t, inc)
	if err != nil {
		return err
	}
	ended, counted := inc.ResolvedAt, any(nil)
	if ended.IsZero() {
		ended = inc.ClosedAt
	}
	if inc.Counts() {
		counted = inc.ClosedAt.UnixMilli()
	}
	_, err = t.tx.ExecContext(t.ctx, `INSERT INTO endings (incident, category, site, device, rule, level, model, firmware, code, judged, solved, ended_at, counted_at)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (incident) DO UPDATE SET category = excluded.category, site = excluded.site, level = excluded.level,
		model = excluded.model, firmware = excluded.firmware, code = excluded.code, judged = excluded.judged, solved = excluded.solved,
		ended_at = excluded.ended_at, counted_at = excluded.counted_at`,
		id, inc.Category, inc.Site, inc.Device, inc.Rule, inc.Level, made.Model, made.Firmware, inc.Resolution.Code, inc.EndedByPerson(), inc.Solved(),
		ended.UnixMilli(), counted)
	if err != nil {
		return fmt.Errorf("write how %s ended: %w", inc.Ref, err)
	}
	return nil
}

// Makes implements incidents.Shelf: the label model of the devices, and the firmware
// that they say they have, or else their label firmware.
func (t *ticketTx) Makes(devices []string) (map[string]incidents.Make, error) {
	return makesOf(t.ctx, t.tx, devices)
}

func makesOf(ctx context.Context, db querier, devices []string) (map[string]incidents.Make, error) {
	out := map[string]incidents.Make{}
	for chunk := range slices.Chunk(devices, keysAtOnce) {
		rows, err := db.QueryContext(ctx, "SELECT name, labels, firmware FROM devices WHERE name IN ("+marks(len(chunk))+") AND (labels <> '' OR firmware <> '')", anys(chunk)...)
		if err == nil {
			err = eachMake(rows, out)
		}
		if err != nil {
			return nil, fmt.Errorf("read the makes of %d devices: %w", len(chunk), err)
		}
	}
	return out, nil
}

// Fleet implements incidents.Store. It is asked beside a transaction that may be an
// undertaking's, and so asks outside of it.
func (t *Tickets) Fleet(ctx context.Context, devices, sites []string) (incidents.Fleet, error) {
	return fleetOf(context.WithValue(ctx, undertakingKey{}, nil), t.read, devices, sites)
}

// Fleet implements incidents.Tx.
func (t *ticketTx) Fleet(devices, sites []string) (incidents.Fleet, error) {
	return fleetOf(t.ctx, t.tx, devices, sites)
}

func fleetOf(ctx context.Context, db querier, devices, sites []string) (incidents.Fleet, error) {
	makes, err := makesOf(ctx, db, devices)
	fleet := incidents.Fleet{Makes: makes, Active: make(map[string]int, len(sites))}
	for chunk := range slices.Chunk(sites, keysAtOnce) {
		if err == nil {
			err = countActive(ctx, db, fleet.Active, chunk)
		}
	}
	return fleet, err
}

func countActive(ctx context.Context, db querier, into map[string]int, sites []string) error {
	rows, err := db.QueryContext(ctx, "SELECT site, count(*) FROM devices WHERE site IN ("+marks(len(sites))+") AND status <> 'retired' GROUP BY site", anys(sites)...)
	if err != nil {
		return fmt.Errorf("count the devices of %d sites: %w", len(sites), err)
	}
	defer rows.Close()
	for rows.Next() {
		var site string
		var n int
		if err := rows.Scan(&site, &n); err != nil {
			return fmt.Errorf("count the devices of %d sites: %w", len(sites), err)
		}
		into[site] = n
	}
	return rows.Err()
}

// Registered implements incidents.Shelf.
func (t *ticketTx) Registered(name string) (there bool, err error) {
	err = t.tx.QueryRowContext(t.ctx, "SELECT EXISTS (SELECT 1 FROM devices WHERE name = ?) OR EXISTS (SELECT 1 FROM sites WHERE id = ?)", name, name).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for %s in the registry: %w", name, err)
	}
	return there, nil
}

func eachMake(rows *sql.Rows, out map[string]incidents.Make) error {
	defer rows.Close()
	for rows.Next() {
		var name, text, firmware string
		var labels struct{ Model, Firmware string }
		if err := rows.Scan(&name, &text, &firmware); err != nil {
			return err
		}
		if text != "" {
			if err := json.Unmarshal([]byte(text), &labels); err != nil {
				return err
			}
		}
		if made := (incidents.Make{Model: labels.Model, Firmware: cmp.Or(firmware, labels.Firmware)}); made != (incidents.Make{}) {
			out[name] = made
		}
	}
	return rows.Err()
}

// Closings implements incidents.Shelf.
func (t *ticketTx) Closings(q incidents.ClosingQuery) (refs []string, err error) {
	f := filter{dialect: t.tx.dialect}
	f.add("counted_at IS NOT NULL AND counted_at > ?", q.Since.UnixMilli())
	f.text("category", q.Category)
	f.text("site", q.Site)
	f.text("model", q.Model)
	f.text("firmware", q.Firmware)
	rows, err := t.tx.QueryContext(t.ctx, "SELECT incident FROM endings"+f.where()+" ORDER BY incident LIMIT ?", append(f.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("read what closed %s: %w", q, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read what closed %s: %w", q, err)
		}
		refs = append(refs, refOf(id))
	}
	return refs, rows.Err()
}

// SolvedBefore implements incidents.Archive.
func (t *Tickets) SolvedBefore(ctx context.Context, q incidents.SolvedQuery) ([]incidents.Incident, error) {
	f := filter{dialect: t.dialect}
	f.add("solved" + t.isTrue())
	f.text("device", q.Device)
	f.text("site", q.Site)
	f.text("category", q.Category)
	f.level("level", q.Level)
	if q.Supplier != "" {
		f.add("incident IN (SELECT id FROM incidents WHERE supplier = ? AND supplier <> '')", q.Supplier)
	}
	for _, ref := range q.Not {
		id, _ := idOf(ref)
		f.add("incident <> ?", id)
	}
	list, err := rowsOf(ctx, t.read, `WHERE id IN (SELECT incident FROM endings`+f.where()+
		` ORDER BY incident DESC LIMIT ?) ORDER BY id DESC`, append(f.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("read what was solved before: %w", err)
	}
	return list, nil
}

// isTrue is what makes a condition of a yes or no, as the partial indexes have it.
func (d *dialect) isTrue() string {
	if d.numbered {
		return ""
	}
	return " = 1"
}

// Verdicts implements incidents.Archive.
func (t *Tickets) Verdicts(ctx context.Context, since time.Time) ([]incidents.Verdict, error) {
	rows, err := t.read.QueryContext(ctx, `SELECT rule, count(*), sum(CASE code WHEN 'false_positive' THEN 1 ELSE 0 END) FROM endings
		WHERE judged`+t.isTrue()+` AND ended_at >= ? AND rule <> '' GROUP BY rule ORDER BY rule`, since.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read what people made of the rules: %w", err)
	}
	defer rows.Close()
	var list []incidents.Verdict
	for rows.Next() {
		var v incidents.Verdict
		if err := rows.Scan(&v.Rule, &v.Judged, &v.FalsePositives); err != nil {
			return nil, fmt.Errorf("read what people made of the rules: %w", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// Opened implements incidents.Archive.
func (t *Tickets) Opened(ctx context.Context, q incidents.OpenedQuery, take func(*incidents.Incident) error) error {
	f := filter{dialect: t.dialect}
	f.add("opened_at >= ? AND opened_at < ?", q.From.UnixMilli(), q.To.UnixMilli())
	if q.Site != "" {
		f.add(t.hint+"site = ?", q.Site)
	}
	f.ofLevel(t.hint+"sort", q.Level)
	f.text("supplier", q.Supplier)
	rows, err := t.read.QueryContext(ctx, "SELECT "+whole+" FROM incidents"+f.where(), f.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		inc, err := scanIncident(rows)
		if err != nil {
			return err
		}
		if err := take(&inc); err != nil {
			return err
		}
	}
	return rows.Err()
}

// OpenActions implements incidents.Archive. A place in the list is the time that
// an action is due, its incident's number and its own.
func (t *Tickets) OpenActions(ctx context.Context, q incidents.ActionQuery) ([]incidents.OpenAction, error) {
	f := filter{dialect: t.dialect}
	f.text("incidents.site", q.Site)
	f.ofLevel("incidents.sort", q.Level)
	f.text("incidents.supplier", q.Supplier)
	if q.Assignee != "" {
		f.add("o.assignee IN ('', ?)", q.Assignee)
	}
	if q.After != "" {
		due, incident, action, err := actionPlace(q.After)
		if err != nil {
			return nil, err
		}
		f.add("(o.due_at, o.incident, o.action) > (?, ?, ?)", due, incident, action)
	}
	rows, err := t.read.QueryContext(ctx, `SELECT o.action, `+whole+` FROM open_actions o JOIN incidents ON incidents.id = o.incident`+f.where()+
		` ORDER BY o.due_at, o.incident, o.action LIMIT ?`, append(f.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("list the open actions: %w", err)
	}
	defer rows.Close()
	var list []incidents.OpenAction
	for rows.Next() {
		var id int
		inc, err := scanIncident(scanAfter{rows, []any{&id}})
		if err != nil {
			return nil, fmt.Errorf("list the open actions: %w", err)
		}
		if a := inc.Action(id); a != nil {
			list = append(list, incidents.OpenAction{Incident: inc.Ref, Site: inc.Site, Summary: inc.Summary, Action: *a})
		}
	}
	return list, rows.Err()
}

// errPlace says that a text names no place in a list.
var errPlace = &incidents.InvalidError{Faults: []incidents.Fault{{Field: "cursor", Wrong: "is none of this list"}}}

func actionPlace(text string) (due, incident, action int64, err error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return 0, 0, 0, errPlace
	}
	var n [3]int64
	for i, p := range parts {
		if n[i], err = strconv.ParseInt(p, 10, 64); err != nil {
			return 0, 0, 0, errPlace
		}
	}
	return n[0], n[1], n[2], nil
}
