package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

type object = map[string]any

// examples are bodies that the operations take as they stand, in a house with the
// sites and incidents that they name. A test sends each of them.
var examples = map[string]any{
	"put-categories-id": object{"about": "the lift stands still", "impact": "site", "urgency": "high", "team": "first line", "questionnaire": "offline",
		"articles": []string{"device-offline"}},
	"put-questionnaires-id": object{"name": object{"en": "The lift", "fr": "L'ascenseur"}, "questions": []any{
		object{"id": "moves", "kind": "choice", "text": object{"en": "Does it move?", "fr": "Bouge-t-il ?"}, "answers": []any{
			object{"id": "yes", "text": object{"en": "Yes"}, "next": "end"},
			object{"id": "no", "text": object{"en": "No"}, "hint": object{"en": "Keep the doors shut."}, "outcome": object{"escalate": true}}}}}},
	"put-matrices-id": object{"priorities": object{"client": object{"high": 1, "medium": 1, "low": 2},
		"site": object{"high": 2, "medium": 3, "low": 4}, "device": object{"high": 3, "medium": 4, "low": 4}}},
	"put-articles-id": object{"title": object{"en": "When the lift stands still"}, "body": object{"en": "Call the porter first."}, "public": true},
	"post-problems":   object{"title": "Model m1 stops counting after a week", "category": "powered_not_counting", "incidents": []string{"INC-000001"}},
	"patch-problems-problem": object{"state": "known_error", "symptom": "It counts nothing after a week.", "cause": "A full disk.", "workaround": "Restart it.",
		"models": []string{"m1"}, "firmware": []string{"5.2.1"}},
	"post-announcements": object{"title": "New routers in Paris", "text": "Counts come late on Tuesday night.", "planned": true, "sites": []string{"paris"},
		"from": "2026-12-01T20:00:00Z", "to": "2026-12-02T04:00:00Z"},
	"patch-announcements-announcement":          object{"text": "Counts come late on Wednesday night."},
	"post-announcements-announcement-updates":   object{"text": "The first router is in."},
	"post-incidents-ref-actions-action-answers": object{"answers": []any{object{"question": "site", "value": "open"}}},
	"put-agreements-id": object{"kind": "sla", "name": "Gold", "calendar": "24x7",
		"targets": object{"1": object{"respond_minutes": 60, "resolve_minutes": 1440}}},
	"post-backup":  object{"dir": "/var/backups/belfry/2026-11-26"},
	"post-restore": object{"dir": "/var/backups/belfry/2026-11-26", "tenant": "acme"},
	"put-calendars-id": object{"name": "Office hours", "zone": "Europe/Paris", "hours": object{"mon-fri": "09:00-12:00,13:00-18:00"},
		"holidays": []string{"05-01", "2026-12-24"}},
	"put-contacts-name":              object{"email": "rosa@rome.example", "language": "fr", "zone": "Europe/Rome", "hours": object{"mon-fri": "09:00-17:00"}},
	"post-devices":                   object{"name": "FC-10042", "site": "paris", "labels": object{"model": "m1"}, "reading_every": 900},
	"patch-devices-name":             object{"status": "retired"},
	"post-incidents":                 object{"summary": "door 2 counts nobody", "site": "paris", "urgency": "high"},
	"patch-incidents-ref":            object{"urgency": "low"},
	"post-incidents-bulk":            object{"refs": []string{"INC-000001", "INC-000002"}, "transition": "take"},
	"post-incidents-ref-actions":     object{"actions": []any{object{"questionnaire": "offline", "language": "fr", "due": "2026-12-31T12:00:00Z"}}},
	"post-incidents-ref-comments":    object{"text": "The electrician comes at two.", "internal": false},
	"post-incidents-ref-transitions": object{"transition": "take"},
	"post-ingest-dead-retry":         object{"reason": "not-json"},
	"post-ingest-pause":              object{"partitions": []int{0}},
	"post-ingest-resume":             object{},
	"post-rules-backtest":            object{"from": "2026-03-01T00:00:00Z", "to": "2026-03-08T00:00:00Z", "findings": true},
	"put-rules-name":                 object{"text": "rules:\n  - name: silent\n    scope: device\n    when: silence() > 2h\n    every: 5m\n    category: suspected_offline\n"},
	"post-rules-name-backtest":       object{"from": "2026-03-01T00:00:00Z", "to": "2026-03-08T00:00:00Z"},
	"post-rules-explain":             object{"at": "2026-03-08T00:00:00Z"},
	"post-rules-check":               object{"files": []any{object{"name": "rules.yaml", "text": "rules: []\n"}}},
	"put-silences-id":                object{"device": "FC-10042", "from": "2026-12-01T00:00:00Z", "to": "2026-12-02T00:00:00Z", "reason": "the floor is painted"},
	"post-sites":                     object{"id": "oslo", "zone": "Europe/Oslo", "hours": object{"mon-sat": "10:00-20:00"}, "contact": "oslo@shops.example"},
	"patch-sites-id":                 object{"status": "refit"},
	"post-tenants":                   object{"name": "acme"},
	"post-tokens":                    object{"name": "rosa", "role": "site_manager", "site": "paris"},
	"post-webhooks":                  object{"url": "https://helpdesk.example/belfry", "kinds": []string{"open", "resolve"}},
	"patch-webhooks-id":              object{"paused": true},
	"put-windows-id":                 object{"sites": []string{"paris"}, "from": "2026-12-01T20:00:00Z", "to": "2026-12-02T04:00:00Z", "reason": "new cabling"},
}

// named are what things are called in the examples, by what stands before the name
// in a path; and what a query must say.
var named = map[string]any{
	"actions": 1, "agreements": "standard", "announcements": "ANN-000001", "articles": "device-offline", "attachments": "k3v9x2ma",
	"calendars": "office", "categories": "suspected_offline", "contacts": "rosa", "dead": "0-17", "deliveries": 17, "devices": "FC-10042",
	"incidents": "INC-000123", "matrices": "default", "problems": "PRB-000007", "questionnaires": "offline", "rules": "suspected-offline",
	"sessions": "3bxa6f3y", "silences": "painting", "sites": "paris", "tenants": "acme", "tokens": "cq22dnsr", "webhooks": "w4c7m2pd",
	"windows": "cabling", "?from": "2026-03-01T00:00:00Z", "?to": "2026-03-08T00:00:00Z", "?q": "no light",
}

// exemplify puts the examples into the document: of bodies, and of what must be
// said beside them.
func exemplify(doc *huma.OpenAPI) {
	for path, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				if p.In == "path" {
					before, _, _ := strings.Cut(path, "/{"+p.Name+"}")
					p.Example = named[before[strings.LastIndex(before, "/")+1:]]
				} else if p.Required {
					p.Example = named["?"+p.Name]
				}
			}
			if op.RequestBody == nil {
				continue
			}
			if media := op.RequestBody.Content["application/json"]; media != nil && media.Example == nil {
				media.Example = examples[op.OperationID]
			}
		}
	}
}
