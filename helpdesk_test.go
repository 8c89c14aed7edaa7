package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The commands of docs/helpdesk.md are run as they stand there, one after the
// other, and print what it says there, where it says so.
func TestTheHelpdesksPageRuns(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "helpdesk.md"))
	if err != nil {
		t.Fatal(err)
	}
	data, registry := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "registry.yaml")
	photo := filepath.Join(t.TempDir(), "door.jpg")
	if err := os.WriteFile(photo, []byte("\xff\xd8\xff a door"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(registry, []byte("sites:\n  - id: paris\ndevices:\n  - name: FC-1\n    site: paris\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, data, nil, "serve", "--roles", "api", "--data", data)
	lines := strings.Split(string(text), "\n")
	ran := 0
	for i, line := range lines {
		call, ok := strings.CutPrefix(line, "$ belfry ")
		if !ok {
			continue
		}
		ran++
		var out bytes.Buffer
		args := append([]string{"--data", data}, words(strings.NewReplacer("registry.yaml", registry, " door.jpg", " "+photo).Replace(call))...)
		if err := run(context.Background(), args, &out, &out); err != nil {
			t.Fatalf("belfry %s: %v\n%s", call, err, out.String())
		}
		for _, want := range lines[i+1:] {
			if want == "```" || strings.HasPrefix(want, "$ ") {
				break
			}
			if !strings.Contains(out.String(), want) {
				t.Errorf("belfry %s prints\n%s\nand not %q", call, out.String(), want)
			}
		}
	}
	if ran < 20 {
		t.Errorf("%d commands ran; the page has more", ran)
	}
}

// words takes a command line apart at spaces, but not within quotation marks.
func words(line string) (out []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
