package warehouse

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestABackupComesBackUnderAnyName(t *testing.T) {
	w := open(t)
	register(t, w, "paris", "Europe/Paris", "a")
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "a", noon, noon, 1, 3, 4)
		heartbeat(b, "a", noon, noon, 2, "temp", 21.5)
	})
	dir := filepath.Join(t.TempDir(), "it's a backup")
	if err := w.Backup(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := w.Backup(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second backup over the first: got %v", err)
	}
	if err := server.Restore(t.Context(), w.Name(), dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over readings: got %v, want %v", err, ErrNotEmpty)
	}
	other := w.Name() + "_again"
	if err := server.Restore(t.Context(), other, dir); err != nil {
		t.Fatal(err)
	}
	again, err := server.Database(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	tsv(t, w, "DROP DATABASE {db} SYNC") // nothing of the copy leans on it
	insert(t, again, func(b *telemetry.Batch) { count(b, "a", noon.Add(time.Minute), noon, 3, 10, 10) })
	for sql, want := range map[string]string{
		"SELECT site, sum(`in`), sum(readings) FROM {db}.daily GROUP BY site":          "paris\t13\t2",
		"SELECT measurements['temp'] FROM {db}.heartbeats":                             "21.5",
		"SELECT toUnixTimestamp64Milli(last_arrival) = 1774612800000 FROM {db}.latest": "1",
	} {
		if got := tsv(t, again, sql); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}

func TestWhatIsNoBackupIsNotRestored(t *testing.T) {
	dir := t.TempDir()
	if err := server.Restore(t.Context(), "nothing", dir); err == nil || !strings.Contains(err.Error(), "no backup") {
		t.Errorf("an empty folder: got %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "metadata"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata", "x.sql"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Restore(t.Context(), "nothing", dir); err == nil {
		t.Error("rubbish was restored")
	}
	out, err := server.engine.Query(t.Context(), "SELECT count() FROM system.databases WHERE name = 'nothing'", "TSV", nil)
	if err != nil || string(out) != "0\n" {
		t.Errorf("half a database is there: %s, %v", out, err)
	}
}
