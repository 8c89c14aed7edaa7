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
	photo, silence, contact := filepath.Join(t.TempDir(), "p.jpg"), filepath.Join(t.TempDir(), "s.yaml"), filepath.Join(t.TempDir(), "c.yaml")
	for name, text := range map[string]string{photo: "a door", silence: "site: paris\nfrom: 2026-12-01T00:00:00Z\nto: 2026-12-02T00:00:00Z\nreason: refit\n",
		contact: "email: mia@belfry.example\nlanguage: fr\ntopics: [escalations]\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, data, nil, "serve", "--roles", "api", "--data", data)
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
		{"incidents list --search SILENC", "INC-000001"},
		{"incidents report again --device FC-1 --category user_report/device", "INC-000003"},
		{"incidents show INC-000003 --language fr", "Un voyant est-il allumé sur l'appareil ?"},
		{"incidents take INC-000003", "in_progress"},
		{"incidents escalate INC-000003 --reason help", "the questionnaire broken-device"},
		{"incidents ask INC-000003 --language ro", "is pending"},
		{"incidents actions", "Un dispozitiv este defect"},
		{"incidents answer INC-000003 --action 1 --say lights=green", `"green" is no answer; want one of lit, dark`},
		{"incidents answer INC-000003 --action 1 --say lights=dark", "is pending"},
		{"incidents answer INC-000003 --action 1 --say power=still_dark --say damage=burnt --say photo=p.jpg", `no "p.jpg" is attached to INC-000003`},
		{"incidents attach INC-000003 " + photo, "p.jpg is attached to INC-000003 (text/plain"},
		{"incidents answer INC-000003 --action 1 --say power=still_dark --say damage=burnt --say photo=p.jpg", "in_progress, level 2"},
		{"incidents resolve INC-000003 --code replaced --summary exchanged --item FC-1", "is resolved"},
		{"incidents rate INC-000003 --points 5", "somebody else says how well"},
		{"incidents close INC-000003", "asked for approval 0 of 2 times"},
		{"incidents approve INC-000003", "is closed"},
		{"incidents show INC-000001", "INC-000003"},
		{"incidents history --device FC-1", "INC-000003"},
		{"incidents history", "want --site, --device or --requester"},
		{"incidents report dim --device FC-1 --channel phone --reporter paula", "INC-000004"},
		{"incidents comment INC-000004 again --channel phone", ""},
		{"incidents history --requester paula", "phone  comment"},
		{"desk list categories", "suspected_offline"},
		{"desk list articles --language fr", "device-offline"},
		{"desk show questionnaires broken-device", "id: broken-device"},
		{"desk put silences s " + silence, "s is laid down among the silences"},
		{"desk put silences s " + silence, "s is laid down among the silences"},
		{"desk put contacts mia " + contact, "mia is laid down among the contacts"},
		{"desk list contacts", "mia@belfry.example  mia"},
		{"desk show contacts mia", "- escalations"},
		{"desk retire silences s", "s is retired from the silences"},
		{"desk retire silences s", "404"},
		{"search EXCHANGED", "INC-000003"},
		{"search lumière", ""},
		{"search debranche", "device-offline"},
		{"incidents major INC-000001 --reason storm", "is in_progress"},
		{"problems list", "Major: silence"},
		{"problems set PRB-000001 --state known_error", "symptom: is missing"},
		{"problems set PRB-000001 --state known_error --symptom dark --cause fuse --workaround walk", "PRB-000001 is known_error"},
		{"problems show PRB-000001", "workaround: walk"},
		{"announcements list --state draft", "ANN-000001"},
		{"announcements tell ANN-000001 --end", "ANN-000001 is ended, with 1 updates"},
		{"announcements draft routers --planned", "from: and to are wanted"},
		{"reports --by category", "user_report/device"},
		{"reports --csv", "group,opened,open,resolved"},
		{"reports --json", `"first_contact_share": 0`},
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
