package notices

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"belfry/incidents"
)

// announced reports whether a notice tells of an announcement and not of an
// incident.
func announced(n incidents.Notice) bool {
	return n.Template == string(incidents.Announced) && strings.HasPrefix(n.Ref, "ANN-")
}

// subject returns what notices tell of: an incident, or an announcement in the
// form of one, and the events themselves.
func (w *Worker) subject(ctx context.Context, letter []incidents.Notice) (incidents.Incident, []incidents.Event, error) {
	if announced(letter[0]) {
		return w.updates(ctx, letter)
	}
	inc, err := w.Outbox.Incident(ctx, letter[0].Ref)
	if err != nil {
		return inc, nil, fmt.Errorf("read %s: %w", letter[0].Ref, err)
	}
	events := make([]incidents.Event, len(letter))
	for i, n := range letter {
		list, err := w.Outbox.Events(ctx, n.Ref, n.Seq-1, 1)
		if err != nil {
			return inc, nil, fmt.Errorf("read event %d of %s: %w", n.Seq, n.Ref, err)
		}
		if len(list) == 0 {
			return inc, nil, fmt.Errorf("event %d of %s is missing", n.Seq, n.Ref)
		}
		events[i] = list[0]
	}
	return inc, events, nil
}

func (w *Worker) announcement(ctx context.Context, ref string) (a incidents.Announcement, err error) {
	r, err := w.Outbox.OneRecord(ctx, incidents.AnnouncementRecord, ref)
	if err == nil {
		err = json.Unmarshal(r.Data, &a)
	}
	if err != nil {
		return a, fmt.Errorf("read %s: %w", ref, err)
	}
	return a, nil
}

// updates returns what notices tell of an announcement.
func (w *Worker) updates(ctx context.Context, letter []incidents.Notice) (incidents.Incident, []incidents.Event, error) {
	a, err := w.announcement(ctx, letter[0].Ref)
	if err != nil {
		return incidents.Incident{}, nil, err
	}
	inc, all := a.Told()
	events := make([]incidents.Event, len(letter))
	for i, n := range letter {
		if n.Seq < 1 || n.Seq > int64(len(all)) {
			return inc, nil, fmt.Errorf("update %d of %s is missing", n.Seq, n.Ref)
		}
		events[i] = all[n.Seq-1]
	}
	return inc, events, nil
}
