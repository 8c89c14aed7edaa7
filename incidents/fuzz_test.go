package incidents

import (
	"context"
	"errors"
	"testing"
	"time"

	"belfry/telemetry"
)

// FuzzDocuments lays down whatever comes, of each kind that people write. What is
// taken is worked with: an incident goes from its opening through its questions to
// a tick in years, and nothing of it panics or is left half done.
func FuzzDocuments(f *testing.F) {
	for _, doc := range defaults {
		f.Add(string(doc.Kind), doc.ID, string(doc.Data))
	}
	f.Add("silence", "s", `{"id":"s","rule":"r","from":"2026-03-27T00:00:00Z","to":"2026-03-29T00:00:00Z","reason":"x"}`)
	f.Add("window", "w", `{"id":"w","from":"2026-03-27T00:00:00Z","to":"2026-03-29T00:00:00Z","reason":"x"}`)
	f.Add("calendar", "office", `{"id":"office","zone":"America/Sao_Paulo","hours":{"mon-sun":"00:00-24:00"},"holidays":["02-29","au-vic","US"],"exceptions":[{"date":"2026-03-28","hours":"01:00-02:00"}]}`)
	f.Add("agreement", "client", `{"id":"client","kind":"sla","calendar":"office","targets":{"3":{"respond_minutes":1000000,"resolve_minutes":1,"update_minutes":1}}}`)
	f.Add("questionnaire", "offline", `{"id":"offline","name":{"xx":"?"},"questions":[{"id":"n","kind":"number","text":{"en":"?"},"answers":[{"id":"a","min":1,"next":"end"}]}]}`)
	f.Fuzz(func(t *testing.T, kind, id, data string) {
		store, ctx := newMemory(), context.Background()
		d := NewDesk(store, Config{}, nil, nil)
		want := Expected{New: true}
		if old, err := d.Document(ctx, DocumentKind(kind), id); err == nil {
			want = Expected{Version: old.Version}
		}
		if _, err := d.PutDocument(ctx, Document{Kind: DocumentKind(kind), ID: id, Data: []byte(data)}, want, noon); err != nil {
			if len(store.docs) > 0 {
				t.Fatalf("refused, and yet laid down: %v", err)
			}
			return
		}
		if err := d.Receive(ctx, []telemetry.Finding{finding(telemetry.Firing, noon)}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Report(ctx, NewReport{Summary: "dark", Site: "paris", Category: "suspected_offline"}, carl, noon); err != nil {
			allowed(t, err)
		}
		for ref := range store.rows {
			for _, req := range []Request{{Transition: Take}, {Transition: Ask, Actions: []NewAction{{Due: noon.Add(time.Hour)}}},
				{Transition: Reply, Action: 1, Answers: says("site=open n=1")}} {
				_, err := d.Transition(ctx, ref, req, ana, noon)
				allowed(t, err)
			}
			_, err := d.Guide(ctx, ref, "fr", ana)
			allowed(t, err)
		}
		for _, years := range []int{0, 1, 5} {
			if _, err := d.Tick(ctx, noon.AddDate(years, 0, 1)); err != nil {
				t.Fatalf("after %d years: %v", years, err)
			}
		}
	})
}

// allowed fails for an error that is no answer to a person.
func allowed(t *testing.T, err error) {
	t.Helper()
	var conflict *ConflictError
	var invalid *InvalidError
	if err != nil && !errors.As(err, &conflict) && !errors.As(err, &invalid) && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
}
