package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// Tickets is the database of one tenant. It is the incidents.Store of its desk,
// and holds its registry and its analyzer's states.
type Tickets struct{ *database }

// Open opens the ticket database in that file, making it when it is missing.
// The caller closes it after everything that uses it has ended.
func Open(ctx context.Context, path string) (*Tickets, error) {
	db, err := open(ctx, path, "tickets")
	if err != nil {
		return nil, err
	}
	return prepared(ctx, db)
}

// prepared returns the database once it holds what it always holds.
func prepared(ctx context.Context, db *database) (*Tickets, error) {
	err := db.update(ctx, func(tx *txn) error { return haveUnassigned(ctx, tx) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the site %s in %s: %w", telemetry.Unassigned, db.path, err), db.Close())
	}
	return &Tickets{db}, nil
}

// Update runs one transaction.
func (t *Tickets) Update(ctx context.Context, fn func(incidents.Tx) error) error {
	return t.update(ctx, func(tx *txn) error {
		t := &ticketTx{ctx: ctx, tx: tx}
		if err := fn(t); err != nil {
			return err
		}
		return t.saveNumber()
	})
}

type ticketTx struct {
	ctx   context.Context
	tx    *txn
	last  int64 // newest number of an incident; 0 when it was not read
	drawn bool  // it has moved on
}

const prefix = "INC-"

func refOf(id int64) string {
	b := append(make([]byte, 0, 24), prefix...)
	for least := int64(100_000); least > id && least > 1; least /= 10 {
		b = append(b, '0')
	}
	return string(strconv.AppendInt(b, id, 10))
}

// idOf returns the number of a reference; false when it is none.
func idOf(ref string) (int64, bool) {
	digits, ok := strings.CutPrefix(ref, prefix)
	id, err := strconv.ParseUint(digits, 10, 63)
	return int64(id), ok && err == nil && (len(digits) == 6 || len(digits) > 6 && digits[0] != '0')
}

// Refs implements incidents.Tx. The counter is read once and written back at the end
// of the transaction; nobody else writes in between.
func (t *ticketTx) Refs() (func() string, error) {
	if t.last == 0 {
		err := t.tx.QueryRowContext(t.ctx, "SELECT value FROM counters WHERE name = 'incident'").Scan(&t.last)
		if err != nil {
			return nil, fmt.Errorf("draw references: %w", err)
		}
	}
	return func() string {
		t.last++
		t.drawn = true
		return refOf(t.last)
	}, nil
}

func (t *ticketTx) saveNumber() error {
	if !t.drawn {
		return nil
	}
	if _, err := t.tx.ExecContext(t.ctx, "UPDATE counters SET value = ? WHERE name = 'incident'", t.last); err != nil {
		return fmt.Errorf("save the newest reference: %w", err)
	}
	return nil
}

// querier is what a transaction and a pool have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Get implements incidents.Tx.
func (t *ticketTx) Get(ref string) (incidents.Incident, error) { return incident(t.ctx, t.tx, ref) }

// Incident implements incidents.Store.
func (t *Tickets) Incident(ctx context.Context, ref string) (incidents.Incident, error) {
	return incident(ctx, t.read, ref)
}

func incident(ctx context.Context, db querier, ref string) (incidents.Incident, error) {
	id, ok := idOf(ref)
	if !ok {
		return incidents.Incident{}, incidents.ErrNotFound
	}
	list, err := rowsOf(ctx, db, "WHERE id = ?", id)
	if err != nil {
		return incidents.Incident{}, fmt.Errorf("read %s: %w", ref, err)
	}
	if len(list) == 0 {
		return incidents.Incident{}, incidents.ErrNotFound
	}
	return list[0], nil
}

// Changed returns the incidents that events are of, as they are now, in no order.
func (t *Tickets) Changed(ctx context.Context, events []incidents.FeedEvent) (out []incidents.Incident, err error) {
	numbers := map[int64]bool{}
	for i := range events {
		id, _ := idOf(events[i].Ref)
		numbers[id] = true
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(numbers)), keysAtOnce) {
		list, err := rowsOf(ctx, t.read, "WHERE id IN ("+marks(len(chunk))+")", anys(chunk)...)
		if err != nil {
			return nil, fmt.Errorf("read %d incidents: %w", len(chunk), err)
		}
		out = append(out, list...)
	}
	return out, nil
}

// keysAtOnce is how many of them one statement asks for.
const keysAtOnce = 500

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// whole are the columns of an incident that scanIncident reads. One that is still what
// its first event says is read there.
const whole = `id, updated_at, coalesce(data, (SELECT e.after FROM events e WHERE e.incident = incidents.id AND e.seq = 1))`

// scanIncident reads the columns of whole from a row.
func scanIncident(row scanner) (inc incidents.Incident, err error) {
	var id int64
	var updated sql.NullInt64
	var data sql.RawBytes
	if err := row.Scan(&id, &updated, &data); err != nil {
		return inc, err
	}
	if inc, err = incidentOf(data); err != nil {
		return inc, fmt.Errorf("%s: %w", refOf(id), err)
	}
	if inc.Version == 0 { // an event says neither of these by its fields
		inc.Ref, inc.Version, inc.UpdatedAt = refOf(id), 1, timeOf(updated)
	}
	return inc, nil
}

// rowsOf reads the incidents that the rest of a query behind FROM selects.
func rowsOf(ctx context.Context, db querier, rest string, args ...any) (list []incidents.Incident, err error) {
	rows, err := db.QueryContext(ctx, "SELECT "+whole+" FROM incidents "+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		inc, err := scanIncident(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, inc)
	}
	return list, rows.Err()
}

// Latest implements incidents.Tx.
func (t *ticketTx) Latest(keys []string) (map[string]incidents.Incident, error) {
	out := make(map[string]incidents.Incident, len(keys))
	for chunk := range slices.Chunk(keys, keysAtOnce) {
		list, err := rowsOf(t.ctx, t.tx, `WHERE id IN
			(SELECT MAX(id) FROM incidents WHERE key <> '' AND key IN (`+marks(len(chunk))+`) GROUP BY key)`, anys(chunk)...)
		if err != nil {
			return nil, fmt.Errorf("read the newest incidents of %d keys: %w", len(chunk), err)
		}
		for _, inc := range list {
			out[inc.Key] = inc
		}
	}
	return out, nil
}

// Recovered implements incidents.Tx.
func (t *ticketTx) Recovered(since time.Time, limit int) ([]incidents.Incident, error) {
	list, err := rowsOf(t.ctx, t.tx, `WHERE recovered_at IS NOT NULL AND recovered_at <= ? ORDER BY recovered_at, id LIMIT ?`, since.UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("read what has recovered: %w", err)
	}
	return list, nil
}

// Due implements incidents.Tx.
func (t *ticketTx) Due(by time.Time, limit int) ([]incidents.Incident, error) {
	list, err := rowsOf(t.ctx, t.tx, `WHERE timer_at IS NOT NULL AND timer_at <= ? ORDER BY timer_at, id LIMIT ?`, by.UnixMilli(), limit)
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	return list, nil
}

// Alone implements incidents.Tx.
func (t *ticketTx) Alone(from, to time.Time, limit int) (n int, err error) {
	err = t.tx.QueryRowContext(t.ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM incidents WHERE opened_at >= ? AND opened_at < ? AND parent IS NULL LIMIT ?) x",
		from.UnixMilli(), to.UnixMilli(), limit).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count what was opened: %w", err)
	}
	return n, nil
}

// Save implements incidents.Tx.
func (t *ticketTx) Save(steps []incidents.Step) error {
	sorts, err := t.saveSorts(steps)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(steps, func(s incidents.Step) bool { return !opens(&s) }) {
		return t.saveOpened(steps, sorts)
	}
	if err := t.saveRows(steps, sorts); err != nil {
		return err
	}
	if err := t.saveEvents(steps); err != nil {
		return err
	}
	return t.saveMemory(steps)
}

var incidentRows = bulk{
	into: `incidents (id, sort, open, updated_at, opened_at, recovered_at, timer_at, words, key, site, device, parent,
		assignee, reporter, supplier, data)`,
	columns: 16,
	suffix: `ON CONFLICT (id) DO UPDATE SET sort = excluded.sort, open = excluded.open, updated_at = excluded.updated_at,
		recovered_at = excluded.recovered_at, timer_at = excluded.timer_at, words = excluded.words, site = excluded.site,
		device = excluded.device, parent = excluded.parent, assignee = excluded.assignee, supplier = excluded.supplier,
		data = excluded.data`,
}

// saveRows writes the last version of each incident, in the order of their
// numbers: one that gives up its key is older than the one that takes it over.
func (t *ticketTx) saveRows(steps []incidents.Step, sorts map[sort]int64) error {
	last := make(map[string]*incidents.Step, len(steps))
	for i := range steps {
		last[steps[i].After.Ref] = &steps[i]
	}
	type row struct {
		id   int64
		step *incidents.Step
	}
	rows := make([]row, 0, len(last))
	for ref, step := range last {
		id, ok := idOf(ref)
		if !ok {
			return fmt.Errorf("save an incident: %q is no reference", ref)
		}
		rows = append(rows, row{id, step})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	p := packer{dialect: t.tx.dialect}
	_, err := incidentRows.insert(t.ctx, t.tx, len(rows), func(args []any, i int) ([]any, error) {
		inc := &rows[i].step.After
		var data any // none as long as the first event says all
		if inc.Version > 1 {
			text, err := json.Marshal(inc)
			if err != nil {
				return nil, fmt.Errorf("write %s: %w", inc.Ref, err)
			}
			data = p.pack(text)
		}
		return append(args, rows[i].id, sorts[sortOf(inc)], number(inc.OpenKey != ""), inc.UpdatedAt.UnixMilli(), inc.OpenedAt.UnixMilli(),
			recoveredAt(inc), millis(inc.TimerAt), spaced(inc.Summary), inc.Key, inc.Site, inc.Device, orNull(inc.Parent),
			inc.Assignee, inc.Reporter, inc.With(), data), nil
	})
	return err
}

// opens reports whether a finding opens an incident by the step.
func opens(s *incidents.Step) bool { return s.Event.Kind == incidents.Open }

// What a finding opens has in common: openedRows and openedEvents write what incidentRows
// and eventRows would.
var (
	openedRows = bulk{
		into:  `incidents (id, sort, updated_at, opened_at, timer_at, words, key, site, device, parent, open, assignee, reporter, supplier)`,
		row:   "(?,?,?,?,?,?,?,?,?,?,1,'','','')",
		fresh: true,
	}
	openedEvents = bulk{
		into:  "events (incident, at, actor, source, request, after, text, evidence, seq, kind, before, internal, shared, supplier)",
		row:   "(?,?,?,?,?,?,?,?,1,'open','{}',FALSE,FALSE,'')",
		fresh: true,
	}
)

// saveOpened is saveRows and saveEvents for what findings have opened, of which a storm
// brings many: it binds half as many values.
func (t *ticketTx) saveOpened(steps []incidents.Step, sorts map[sort]int64) error {
	ids := make([]int64, len(steps))
	for i := range steps {
		var ok bool
		if ids[i], ok = idOf(steps[i].After.Ref); !ok {
			return fmt.Errorf("save an incident: %q is no reference", steps[i].After.Ref)
		}
	}
	_, err := openedRows.insert(t.ctx, t.tx, len(steps), func(args []any, i int) ([]any, error) {
		inc := &steps[i].After
		return append(args, ids[i], sorts[sortOf(inc)], inc.UpdatedAt.UnixMilli(), inc.OpenedAt.UnixMilli(), millis(inc.TimerAt),
			spaced(inc.Summary), inc.Key, inc.Site, inc.Device, orNull(inc.Parent)), nil
	})
	if err != nil {
		return err
	}
	p := packer{dialect: t.tx.dialect}
	_, err = openedEvents.insert(t.ctx, t.tx, len(steps), func(args []any, i int) ([]any, error) {
		e := &steps[i].Event
		evidence, err := p.evidence(e)
		return append(args, ids[i], e.At.UnixMilli(), e.Actor, string(e.Source), e.Request, p.pack(e.After), e.Text, evidence), err
	})
	return err
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func recoveredAt(inc *incidents.Incident) any {
	if inc.State == incidents.New && inc.Condition == telemetry.Clear && !inc.Touched {
		return millis(inc.ConditionAt)
	}
	return nil
}

var eventRows = bulk{
	into:    "events (incident, seq, at, actor, source, request, kind, before, after, text, internal, evidence, shared, supplier)",
	columns: 14,
}

func (t *ticketTx) saveEvents(steps []incidents.Step) error {
	p := packer{dialect: t.tx.dialect}
	_, err := eventRows.insert(t.ctx, t.tx, len(steps), func(args []any, i int) ([]any, error) {
		e := &steps[i].Event
		id, _ := idOf(e.Ref)
		evidence, err := p.evidence(e)
		return append(args, id, e.Seq, e.At.UnixMilli(), e.Actor, string(e.Source), e.Request, string(e.Kind),
			p.pack(e.Before), p.pack(e.After), e.Text, e.Internal, evidence, e.Shared, e.Supplier), err
	})
	return err
}

// evidence returns an event's evidence as the database keeps it.
func (p *packer) evidence(e *incidents.Event) (any, error) {
	if len(e.Evidence) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(e.Evidence)
	if err != nil {
		return nil, fmt.Errorf("write the evidence of %s: %w", e.Ref, err)
	}
	return p.pack(text), nil
}

// Recall implements incidents.Tx.
func (t *ticketTx) Recall(key string) (*incidents.Answer, error) {
	var a incidents.Answer
	var at sql.NullInt64
	err := t.tx.QueryRowContext(t.ctx, "SELECT hash, body, at FROM answers WHERE key = ?", key).Scan(&a.Hash, &a.Body, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the answer to a repeated request: %w", err)
	}
	a.At = timeOf(at)
	return &a, nil
}

// Remember implements incidents.Tx.
func (t *ticketTx) Remember(key string, a incidents.Answer) error {
	_, err := t.tx.ExecContext(t.ctx, "INSERT INTO answers VALUES (?,?,?,?)", key, a.Hash, a.Body, a.At.UnixMilli())
	if err != nil {
		return fmt.Errorf("keep the answer for a repeated request: %w", err)
	}
	return nil
}

// Forget implements incidents.Tx.
func (t *ticketTx) Forget(before time.Time) error {
	if _, err := t.tx.ExecContext(t.ctx, "DELETE FROM answers WHERE at < ?", before.UnixMilli()); err != nil {
		return fmt.Errorf("forget old answers: %w", err)
	}
	return nil
}
