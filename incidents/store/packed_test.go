package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belfry/incidents"
	"belfry/telemetry"
)

func TestWhatIsPackedIsReadAsItWas(t *testing.T) {
	for _, d := range []*dialect{sqlite, postgres} {
		p := packer{dialect: d}
		rapid.Check(t, func(t *rapid.T) {
			text := []byte("{")
			for range rapid.IntRange(0, 20).Draw(t, "pieces") {
				from := rapid.IntRange(0, len(packedLike)).Draw(t, "from")
				text = append(text, packedLike[from:min(len(packedLike), from+rapid.IntRange(0, 400).Draw(t, "length"))]...)
				text = append(text, rapid.String().Draw(t, "between")...)
			}
			kept := p.pack(text)
			data, packed := kept.([]byte)
			if !packed {
				data = []byte(kept.(string))
			}
			if want := !d.numbered && len(text) >= leastPacked; packed != want {
				t.Fatalf("%s: packed %v, want %v", d.name, packed, want)
			}
			if got, err := Unpack(data); err != nil || !bytes.Equal(got, text) {
				t.Fatalf("%s: got %q, %v; want %q", d.name, got, err, text)
			}
		})
	}
}

// TestWhatWasPackedLongAgoIsRead reads an incident's row as the first version that
// packed has written it. It must be readable for good.
func TestWhatWasPackedLongAgoIsRead(t *testing.T) {
	file, err := os.ReadFile("testdata/packed.hex")
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(strings.TrimSpace(string(file)))
	if err != nil {
		t.Fatal(err)
	}
	inc, err := incidentOf(data)
	if err != nil {
		t.Fatal(err)
	}
	if inc.Ref != "INC-000777" || inc.Summary != "FC-000776 has been silent for 80 h" || len(inc.Clocks) != 3 || !inc.TimerAt.Equal(noon.Add(135*60e9)) {
		t.Errorf("got %+v", inc)
	}
	if _, err := incidentOf(data[:len(data)/2]); err == nil {
		t.Error("half of it is read without an error")
	}
}

// TestRowsOfBothKindsLieBesideOneAnother turns the rows into what a version that did not
// pack has written, and works on.
func TestRowsOfBothKindsLieBesideOneAnother(t *testing.T) {
	s, ctx := openTickets(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 10, noon)); err != nil {
		t.Fatal(err)
	}
	if err := desk.Receive(ctx, findings(telemetry.Unknown, 2, noon.Add(30e9))); err != nil {
		t.Fatal(err)
	}
	want := holds(t, s)
	for table, columns := range map[string][]string{"incidents": {"data"}, "events": {"before", "after", "evidence"}} {
		for _, column := range columns {
			unpackColumn(t, s, table, column)
		}
	}
	if diff := cmp.Diff(want, holds(t, s)); diff != "" {
		t.Errorf("unpacked (-before +after):\n%s", diff)
	}
	if err := desk.Receive(ctx, findings(telemetry.Clear, 5, noon.Add(60e9))); err != nil {
		t.Fatal(err)
	}
	holds(t, s)
}

func unpackColumn(t *testing.T, s *Tickets, table, column string) {
	t.Helper()
	ctx, texts := context.Background(), map[int64]string{}
	rows, err := s.read.QueryContext(ctx, fmt.Sprintf("SELECT id, %s FROM %s WHERE typeof(%[1]s) = 'blob'", column, table))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			t.Fatal(err)
		}
		text, err := Unpack(data)
		if err != nil {
			t.Fatal(err)
		}
		texts[id] = string(text)
	}
	if len(texts) == 0 && (column == "data" || column == "after") {
		t.Errorf("%s.%s holds nothing that is packed", table, column)
	}
	for id, text := range texts {
		if _, err := s.write.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET %s = ? WHERE id = ?", table, column), text, id); err != nil {
			t.Fatal(err)
		}
	}
}
