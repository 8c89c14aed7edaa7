package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIncidentsAreWorkedOnFromTheCommandLine tells one incident's story.
func TestIncidentsAreWorkedOnFromTheCommandLine(t *testing.T) {
	data, registry := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(registry, []byte("sites:\n  - id: paris\ndevices:\n  - name: FC-1\n    site: paris\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	story := []struct{ say, want string }{
		{"devices import " + registry, ""},
		{"incidents report silence --device FC-1", "INC-000001 is new, level 1, owner -"},
		{"incidents report darkness --site paris", "INC-000002 is new"},
		{"incidents take INC-000001 INC-000002 INC-000009", `INC-000009: refused: there is no incident "INC-000009"`},
		{"incidents take INC-000001", "in_progress, level 1, owner admin"},
		{"incidents ask INC-000001 --text light?", "INC-000001 is pending"},
		{"incidents resolve INC-000001 --code fixed --cause power --summary lit --item FC-1", "1 open actions"},
		{"incidents answer INC-000001 --action 1 --text unplugged", "INC-000001 is in_progress"},
		{"incidents escalate INC-000001 --reason help", "level 2"},
		{"incidents return INC-000001 --solution restart", "level 1"},
		{"incidents hold INC-000001 --reason requester --note wait", "is pending"},
		{"incidents list --sla paused", "INC-000001"},
		{"incidents wake INC-000001", "is in_progress"},
		{"incidents merge INC-000002 --into INC-000001", "INC-000002 is cancelled"},
		{"incidents resolve INC-000001 --code fixed --cause power --summary lit --item FC-1", "is resolved"},
		{"incidents reject INC-000001 --reason dark", "is in_progress"},
		{"incidents comment INC-000001 looking", ""},
		{"incidents show INC-000001", "rejected on behalf of the people concerned. dark"},
		{"incidents show INC-000001 --json", `"consumed_seconds"`},
		{"incidents list --state cancelled --json", `"duplicate_of": "INC-000001"`},
	}
	for _, line := range story {
		var out bytes.Buffer
		err := run(context.Background(), append([]string{"--data", data}, strings.Fields(line.say)...), &out, &out)
		if err != nil {
			out.WriteString(err.Error())
		}
		if !strings.Contains(out.String(), line.want) {
			t.Errorf("belfry %s: got %s, want %q", line.say, out.String(), line.want)
		}
	}
}
