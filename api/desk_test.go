package api

import (
	"strings"
	"testing"
)

func TestWhoIsAskedAnswersQuestionByQuestion(t *testing.T) {
	h := newHouse(t)
	h.call("paris", "GET", "/api/v1/incidents/INC-000001/guide?language=fr", "").want(t, 200, "Le site est-il fermé ?")
	h.call("rome", "GET", "/api/v1/incidents/INC-000001/guide", "").want(t, 404, "")
	h.call("first_line", "POST", moves, `{"transition":"take"}`).want(t, 200, `"team":"first line"`)
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/actions", `{"actions":[{"due":"2026-03-28T12:00:00Z","language":"ro"}]}`).want(t, 200, "offline@0")
	const action = "/api/v1/incidents/INC-000001/actions/1"
	h.call("paris", "GET", "/api/v1/actions", "").want(t, 200, `"incident":"INC-000001"`)
	if list := h.call("rome", "GET", "/api/v1/actions", ""); len(list.items()) != 0 {
		t.Errorf("rome sees %s", list.text)
	}
	h.call("rome", "GET", action, "").want(t, 404, "there is no incident")
	h.call("paris", "GET", "/api/v1/incidents/INC-000001/actions/2", "").want(t, 404, "there is no action")
	asked := h.call("paris", "GET", action+"?language=en", "").want(t, 200, `"next":"site"`)
	h.call("rome", "POST", action+"/answers", `{"answers":[{"question":"site","value":"open"}]}`).want(t, 404, "")
	h.call("paris", "POST", action+"/answers", `{"answers":[{"question":"site","value":"open"}]}`, "If-Match", `"1"`).want(t, 412, "")
	h.call("paris", "POST", action+"/answers", `{"answers":[{"question":"site","value":"perhaps"}]}`).want(t, 422, "answers[0].value")
	got := h.call("paris", "POST", action+"/answers", `{"answers":[{"question":"site","value":"open"},{"question":"lights","value":"dark"}]}`,
		"If-Match", asked.Header.Get("ETag")).want(t, 200, `"next":"power"`)
	if !strings.Contains(got.text, "Verificați ștecherul") {
		t.Errorf("no hint in the language that it was asked in: %s", got.text)
	}
	h.call("paris", "POST", action+"/answers", `{"answers":[{"question":"power","value":"lit_again"}]}`).want(t, 200, `"how":"done"`)
	h.call("paris", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, `"cause":"power"`)
}

func TestProblemsAndAnnouncementsAreChangedByVersion(t *testing.T) {
	h := newHouse(t)
	made := h.call("second_line", "POST", "/api/v1/problems", `{"title":"resets","incidents":["INC-000001"]}`).want(t, 201, `"ref":"PRB-000001"`)
	const problem = "/api/v1/problems/PRB-000001"
	if made.Header.Get("ETag") != `"1"` {
		t.Errorf("got ETag %s", made.Header.Get("ETag"))
	}
	h.call("second_line", "PATCH", problem, `{"owner":"bob"}`).want(t, 428, "")
	h.call("second_line", "PATCH", problem, `{"owner":"bob"}`, "If-Match", `"7"`).want(t, 412, "")
	h.call("second_line", "PATCH", problem, `{"state":"known_error"}`, "If-Match", `"1"`).want(t, 422, `"field":"symptom"`)
	h.call("second_line", "PATCH", problem, `{"state":"known_error","symptom":"s","cause":"c","fix":"f"}`, "If-Match", `"1"`).want(t, 200, `"known_error"`)
	h.call("paris", "GET", problem, "").want(t, 403, "")
	h.call("noc", "PATCH", problem, `{}`, "If-Match", `"2"`).want(t, 403, "")
	h.call("first_line", "GET", "/api/v1/search?q=resets", "").want(t, 200, "PRB-000001")
	if list := h.call("paris", "GET", "/api/v1/search?q=resets", ""); len(list.items()) != 0 {
		t.Errorf("paris finds %s", list.text)
	}
	h.call("second_line", "POST", "/api/v1/problems", `{"title":"x","incidents":["INC-000099"]}`).want(t, 422, "incidents[0]")

	const announcement = "/api/v1/announcements/ANN-000001"
	h.call("manager", "POST", moves, `{"transition":"declare_major","reason":"all of it"}`).want(t, 200, `"major":true`)
	h.call("paris", "GET", announcement, "").want(t, 404, "")
	h.call("manager", "PATCH", announcement, `{"text":"no light"}`).want(t, 428, "")
	h.call("manager", "PATCH", announcement, `{"text":"no light"}`, "If-Match", `"1"`).want(t, 200, "no light")
	h.call("manager", "POST", announcement+"/updates", `{}`, "If-Match", `"1"`).want(t, 412, "")
	h.call("manager", "POST", announcement+"/updates", `{}`, "Idempotency-Key", "u1").want(t, 200, `"state":"published"`)
	h.call("manager", "POST", announcement+"/updates", `{}`, "Idempotency-Key", "u1").want(t, 200, `"state":"published"`)
	seen := h.call("paris", "GET", announcement, "").want(t, 200, "no light")
	if strings.Contains(seen.text, "INC-") || strings.Count(seen.text, `"number"`) != 1 {
		t.Errorf("paris sees %s", seen.text)
	}
	h.call("rome", "GET", announcement, "").want(t, 404, "")
	h.call("manager", "PATCH", announcement, `{"text":"x"}`, "If-Match", "*").want(t, 409, "add an update")
	if list := h.call("rome", "GET", "/api/v1/announcements", ""); len(list.items()) != 0 {
		t.Errorf("rome sees %s", list.text)
	}
}

func TestArticlesAreForWhomTheyAreFor(t *testing.T) {
	h := newHouse(t)
	h.call("first_line", "PUT", "/api/v1/articles/secret", `{"title":{"en":"quirks"},"body":{"en":"x"}}`).want(t, 200, "")
	h.call("first_line", "PUT", "/api/v1/articles/open", `{"title":{"en":"quirks too"},"body":{"en":"x"},"public":true}`).want(t, 200, "")
	h.call("paris", "GET", "/api/v1/articles/secret", "").want(t, 404, "there is no article")
	h.call("paris", "GET", "/api/v1/articles/open", "").want(t, 200, "quirks too")
	if list := h.call("paris", "GET", "/api/v1/articles", ""); strings.Contains(list.text, "secret") || !strings.Contains(list.text, "device-offline") {
		t.Errorf("paris sees %s", list.text)
	}
	h.call("paris", "PUT", "/api/v1/articles/mine", `{"title":{"en":"x"},"body":{"en":"x"}}`).want(t, 403, "")
	h.call("first_line", "DELETE", "/api/v1/articles/device-offline", "", "If-Match", `"0"`).want(t, 409, "still names it")
	h.call("manager", "GET", "/api/v1/categories/user_report%2Fdevice", "").want(t, 200, `"questionnaire":"broken-device"`)
}

func TestReportsAsFiguresAndAsASpreadsheet(t *testing.T) {
	h := newHouse(t)
	const span = "/api/v1/reports?from=2026-03-27T00:00:00Z&to=2026-03-28T00:00:00Z&by=site"
	h.call("noc", "GET", span, "").want(t, 200, `"group":"paris"`)
	sheet := h.call("manager", "GET", span+"&format=csv", "").want(t, 200, "group,opened,open")
	if lines := strings.Count(sheet.text, "\n"); lines != 4 {
		t.Errorf("%d lines, want a heading, two sites and all: %s", lines, sheet.text)
	}
	h.call("manager", "GET", "/api/v1/reports?from=2026-03-28T00:00:00Z&to=2026-03-27T00:00:00Z", "").want(t, 422, "is not after from")
	h.call("paris", "GET", span, "").want(t, 403, "")
	h.call("first_line", "POST", moves, `{"transition":"cancel","code":"false_positive","reason":"shut"}`).want(t, 200, "")
	h.call("first_line", "GET", "/api/v1/history?device=FC-1", "").want(t, 200, `"kind":"cancel"`)
	h.call("first_line", "GET", "/api/v1/history", "").want(t, 422, "want one of them")
	if list := h.call("rome", "GET", "/api/v1/history?device=FC-1", ""); len(list.items()) != 0 {
		t.Errorf("rome sees %s", list.text)
	}
}
