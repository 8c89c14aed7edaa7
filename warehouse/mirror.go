package warehouse

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Incident is a row of the incidents' mirror; the columns are told in
// docs/schema.md.
type Incident struct {
	Ref           string   `json:"ref"`
	Version       int64    `json:"version"`
	State         string   `json:"state"`
	Condition     string   `json:"condition"`
	Origin        string   `json:"origin"`
	Kind          string   `json:"kind"`
	Category      string   `json:"category"`
	Rule          string   `json:"rule"`
	Scope         string   `json:"scope"`
	Site          string   `json:"site"`
	Device        string   `json:"device"`
	Priority      int      `json:"priority"`
	Level         int      `json:"level"`
	Impact        string   `json:"impact"`
	Urgency       string   `json:"urgency"`
	Summary       string   `json:"summary"`
	Assignee      string   `json:"assignee"`
	Parent        string   `json:"parent"`
	Major         bool     `json:"major"`
	Flapping      bool     `json:"flapping"`
	HeldBy        string   `json:"held_by"`
	Occurrences   int      `json:"occurrences"`
	Reopened      int      `json:"reopened"`
	Value         *float64 `json:"value"`
	Threshold     *float64 `json:"threshold"`
	Since         Moment   `json:"since"`
	OpenedAt      Moment   `json:"opened_at"`
	UpdatedAt     Moment   `json:"updated_at"`
	FirstResponse Moment   `json:"first_response"`
	ResolvedAt    Moment   `json:"resolved_at"`
	ClosedAt      Moment   `json:"closed_at"`
	RespondDue    Moment   `json:"respond_due"`
	ResolveDue    Moment   `json:"resolve_due"`
	Resolution    string   `json:"resolution"`
	Cause         string   `json:"cause"`
	Satisfaction  int      `json:"satisfaction"`
}

// IncidentEvent is a row of the mirror of the incidents' timelines. ID is the
// event's place in the order of all events.
type IncidentEvent struct {
	Ref       string   `json:"ref"`
	Seq       int64    `json:"seq"`
	ID        int64    `json:"id"`
	At        Moment   `json:"at"`
	Kind      string   `json:"kind"`
	Source    string   `json:"source"`
	Actor     string   `json:"actor"`
	Condition string   `json:"condition"` // when it changed, as the state and the numbers
	State     string   `json:"state"`
	Value     *float64 `json:"value"`
	Threshold *float64 `json:"threshold"`
	Score     *float64 `json:"score"`
	Since     *Moment  `json:"since"`
	Changes   string   `json:"changes"` // a JSON object
	Text      string   `json:"text"`
	Internal  bool     `json:"internal"`
}

// Moment is an instant as ClickHouse reads it; none is 1970.
type Moment struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (m Moment) MarshalJSON() ([]byte, error) { return []byte(`"` + timestamp(m.Time) + `"`), nil }

// PutIncidents copies incidents and their events into the warehouse. The
// incidents come first: MirroredTo tells of the events, and an incident that is
// newer than its events does no harm. Copying them again changes nothing.
func (w *Warehouse) PutIncidents(ctx context.Context, list []Incident, events []IncidentEvent) error {
	if err := w.insertRows(ctx, "raw_incidents", rowsOf(list)); err != nil {
		return fmt.Errorf("copy %d incidents: %w", len(list), err)
	}
	if err := w.insertRows(ctx, "raw_incident_events", rowsOf(events)); err != nil {
		return fmt.Errorf("copy %d events of incidents: %w", len(events), err)
	}
	return nil
}

func rowsOf[T any](list []T) []any {
	rows := make([]any, len(list))
	for i := range list {
		rows[i] = list[i]
	}
	return rows
}

// MirroredTo returns the ID of the newest event that was copied; 0 for none.
func (w *Warehouse) MirroredTo(ctx context.Context) (id int64, err error) {
	out, err := w.Query(ctx, "mirrored_to", "SELECT max(id) FROM {db}.raw_incident_events", "TSV", nil)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

// ForgetIncidents empties the mirror; the events last, since they tell how far it is.
func (w *Warehouse) ForgetIncidents(ctx context.Context) error {
	for _, table := range []string{"raw_incidents", "raw_incident_events"} {
		if err := w.exec(ctx, "TRUNCATE TABLE {db}."+table, nil); err != nil {
			return fmt.Errorf("empty the mirror of incidents: %w", err)
		}
	}
	return nil
}
