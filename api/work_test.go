package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

const moves = "/api/v1/incidents/INC-000001/transitions"

func TestTheDocumentNamesEveryTransition(t *testing.T) {
	field, _ := reflect.TypeFor[TransitionBody]().FieldByName("Transition")
	var want []string
	for _, name := range incidents.Askable() {
		want = append(want, string(name))
	}
	if got := strings.Split(field.Tag.Get("enum"), ","); !slices.Equal(got, want) {
		t.Errorf("the document has %v, the life cycle %v", got, want)
	}
}

func TestEndUsersDoNotEscalate(t *testing.T) {
	h := newHouse(t)
	h.call("paris", "POST", moves, `{"transition":"escalate","reason":"now"}`).want(t, 403, "/problems/end-user-cannot-escalate")
	h.call("rome", "POST", moves, `{"transition":"escalate","reason":"now"}`).want(t, 404, "/problems/not-found")
	h.call("first_line", "POST", moves, `{"transition":"escalate","reason":"now"}`).want(t, 409, "the questionnaire offline")
	h.call("first_line", "POST", moves, `{"transition":"escalate","reason":"now","override":"the shop rang"}`).want(t, 200, `"level":2`)
	h.call("first_line", "GET", "/api/v1/incidents/INC-000001/timeline", "").want(t, 200, "now (at once, because: the shop rang)")
}

func TestASupplierSeesWhatIsAtItsLevel(t *testing.T) {
	h := newHouse(t)
	h.call("third_line", "GET", "/api/v1/incidents/INC-000001", "").want(t, 404, "")
	h.call("manager", "POST", moves, `{"transition":"escalate","reason":"x","override":"y"}`).want(t, 200, "")
	h.call("second_line", "POST", moves, `{"transition":"escalate","reason":"x"}`).want(t, 422, `"field":"supplier"`)
	h.call("second_line", "POST", moves, `{"transition":"escalate","reason":"x","supplier":"Xovis","reference":"X-1"}`).want(t, 200, `"reference":"X-1"`)
	if list := h.call("third_line", "GET", "/api/v1/incidents", "").want(t, 200, "INC-000001"); len(list.items()) != 1 {
		t.Errorf("it sees %d incidents, want 1", len(list.items()))
	}
	h.call("third_line", "POST", moves, `{"transition":"return","summary":"exchange it"}`).want(t, 200, `"level":2`)
	h.call("third_line", "GET", "/api/v1/incidents/INC-000001", "").want(t, 404, "")
}

// TestASupplierSeesItsOwnCasesAlone compares, for the people of one supplier, every
// answer about a case of another with that about an incident that nobody has.
func TestASupplierSeesItsOwnCasesAlone(t *testing.T) {
	h, url := lively(t, LiveLimits{})
	made := func(supplier string) string {
		return h.call("admin", "POST", "/api/v1/tokens", `{"name":"`+supplier+`","role":"third_line","supplier":"`+supplier+`"}`).want(t, 201, `"supplier":"`+supplier+`"`).json["secret"].(string)
	}
	h.token["xovis"], h.token["irisys"] = made("xovis"), made("irisys")
	h.call("admin", "POST", "/api/v1/tokens", `{"name":"x","role":"noc","supplier":"xovis"}`).want(t, 422, `"field":"supplier"`)
	h.call("xovis", "GET", "/api/v1/version", "").want(t, 200, `"supplier":"xovis"`)
	for _, transition := range []string{`"override":"y"`, `"supplier":"xovis"`} {
		h.call("manager", "POST", moves, `{"transition":"escalate","reason":"x",`+transition+`}`).want(t, 200, "")
	}
	h.call("second_line", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"which firmware?","shared":true}`).want(t, 201, "")

	walked := 0
	for path, item := range h.document().Paths {
		for method := range item {
			if !strings.Contains(path, "{ref}") {
				continue
			}
			walked++
			for _, body := range []string{`{}`, `{"text":"x"}`, `{"transition":"take"}`, `{"transition":"return","summary":"x"}`, `{"assignee":"x"}`, `{"actions":[{"text":"x","due":"2026-04-01T00:00:00Z"}]}`} {
				var answers []string
				for _, ref := range []string{"INC-000001", "INC-000099"} {
					real := strings.NewReplacer("{action}", "1", "{ref}", ref, "{id}", "1").Replace(path)
					got := h.call("irisys", strings.ToUpper(method), real, body, "If-Match", `"1"`)
					answers = append(answers, fmt.Sprint(got.StatusCode, strings.ReplaceAll(got.text, ref, "REF")))
				}
				if answers[0] != answers[1] || strings.HasPrefix(answers[0], "2") {
					t.Errorf("%s %s with %s tells them apart:\n%s\n%s", method, path, body, answers[0], answers[1])
				}
			}
		}
	}
	if walked < 10 {
		t.Errorf("walked %d operations on incidents; there are more", walked)
	}
	lists := []string{"/incidents", "/incidents?level=3", "/incidents?q=silent", "/incidents?supplier=xovis", "/history?device=FC-1", "/actions", "/search?q=silent"}
	for _, path := range lists {
		if got := h.call("irisys", "GET", "/api/v1"+path, "").want(t, 200, ""); strings.Contains(got.text, "INC-000001") {
			t.Errorf("%s tells another supplier of it: %s", path, got.text)
		}
	}
	for _, path := range lists[:5] {
		h.call("xovis", "GET", "/api/v1"+path, "").want(t, 200, "INC-000001")
	}
	h.call("xovis", "GET", "/api/v1/incidents/INC-000001/timeline", "").want(t, 200, "which firmware?")
	h.call("manager", "GET", "/api/v1/incidents?supplier=xovis", "").want(t, 200, "INC-000001")
	if got := h.call("manager", "GET", "/api/v1/incidents?supplier=irisys", ""); len(got.items()) != 0 {
		t.Errorf("with irisys: %s", got.text)
	}

	own, other := h.follow(url, "xovis", "", "0"), h.follow(url, "irisys", "", "0")
	if _, e := own.next(); e.Ref != "INC-000001" {
		t.Errorf("the supplier hears of %q", e.Ref)
	}
	h.call("second_line", "POST", "/api/v1/incidents/INC-000002/transitions", `{"transition":"take"}`).want(t, 200, "")
	h.call("manager", "POST", "/api/v1/incidents/INC-000002/transitions", `{"transition":"hold","reason":"vendor","supplier":"irisys","text":"they look","until":"2026-04-01T00:00:00Z"}`).want(t, 200, "")
	if _, e := other.next(); e.Ref != "INC-000002" {
		t.Errorf("the other supplier hears of %q", e.Ref)
	}
	h.call("irisys", "GET", "/api/v1/incidents/INC-000002", "").want(t, 200, `"supplier":"irisys"`)
	h.call("xovis", "GET", "/api/v1/incidents/INC-000002", "").want(t, 404, "")

	h.call("xovis", "POST", moves, `{"transition":"take"}`).want(t, 200, `"assignee":"xovis"`)
	h.call("xovis", "POST", moves, `{"transition":"hold","reason":"vendor","supplier":"irisys","text":"x","until":"2026-04-01T00:00:00Z"}`).want(t, 422, "another than yours")
	h.call("xovis", "POST", moves, `{"transition":"return","summary":"exchange it"}`).want(t, 200, `"state":"new"`)
	h.call("xovis", "GET", "/api/v1/incidents/INC-000001", "").want(t, 404, "")
	if got := h.call("manager", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, ""); got.json["assignee"] != nil {
		t.Errorf("what the supplier handed back is still its: %s", got.text)
	}
	h.call("manager", "POST", moves, `{"transition":"escalate","reason":"again"}`).want(t, 200, "")
	h.call("xovis", "GET", "/api/v1/incidents/INC-000001/timeline", "").want(t, 200, "exchange it")
}

// TestASupplierSeesWhatItReports has a supplier report, and its case go on to another
// supplier and come back: each reads the shared notes that were written while it had it.
func TestASupplierSeesWhatItReports(t *testing.T) {
	h := newHouse(t)
	for _, supplier := range []string{"xovis", "irisys"} {
		h.token[supplier] = h.call("admin", "POST", "/api/v1/tokens", `{"name":"`+supplier+`","role":"third_line","supplier":"`+supplier+`"}`).want(t, 201, "").json["secret"].(string)
	}
	made := h.call("xovis", "POST", "/api/v1/incidents", `{"summary":"firmware 5 loses counts","site":"paris"}`).want(t, 201, `"supplier":"xovis"`)
	ref := made.json["ref"].(string)
	path := "/api/v1/incidents/" + ref
	if list := h.call("xovis", "GET", "/api/v1/incidents", "").want(t, 200, ref); len(list.items()) != 1 {
		t.Errorf("it sees %d incidents; want the one that it has reported", len(list.items()))
	}
	h.call("irisys", "GET", path, "").want(t, 404, "")
	h.call("first_line", "GET", path, "").want(t, 200, `"level":3`)

	note := func(who, text string) {
		h.call(who, "POST", path+"/comments", `{"text":"`+text+`","shared":true}`).want(t, 201, "")
	}
	move := func(who, body string) { h.call(who, "POST", path+"/transitions", body).want(t, 200, "") }
	reads := func(who string, want ...string) {
		t.Helper()
		for _, list := range []string{path + "/timeline", "/api/v1/history?site=paris"} {
			text := h.call(who, "GET", list, "").want(t, 200, "").text
			for _, note := range []string{"price of xovis", "for whom it may be", "price of irisys"} {
				if got := strings.Contains(text, note); got != slices.Contains(want, note) {
					t.Errorf("%s reads %q in %s: %v", who, note, list, got)
				}
			}
		}
	}
	note("xovis", "price of xovis")
	move("xovis", `{"transition":"return","summary":"not ours"}`)
	note("second_line", "for whom it may be")
	move("second_line", `{"transition":"escalate","reason":"x","supplier":"irisys"}`)
	note("second_line", "price of irisys")
	reads("irisys", "for whom it may be", "price of irisys")
	h.call("xovis", "GET", path, "").want(t, 404, "")
	move("irisys", `{"transition":"return","summary":"not ours either"}`)
	move("second_line", `{"transition":"escalate","reason":"x","supplier":"xovis"}`)
	reads("xovis", "price of xovis", "for whom it may be")
	reads("second_line", "price of xovis", "for whom it may be", "price of irisys")
}

func TestActions(t *testing.T) {
	h := newHouse(t)
	h.call("first_line", "POST", moves, `{"transition":"take"}`).want(t, 200, "")
	ask := func(who string) string {
		return `{"actions":[{"text":"light?","assignee":"` + who + `","due":"` + noon.Add(time.Hour).Format(time.RFC3339) + `"}]}`
	}
	actions := "/api/v1/incidents/INC-000001/actions"
	h.call("first_line", "POST", actions, ask("rosa")).want(t, 422, "no site manager of the incident's site")
	h.call("paris", "POST", actions, ask("site_manager")).want(t, 403, "")
	h.call("first_line", "POST", actions, ask("site_manager"), "If-Match", `"1"`).want(t, 412, "")
	h.call("first_line", "POST", actions, ask("site_manager")).want(t, 200, `"pending_reason":"awaiting_end_user"`)
	h.call("paris", "POST", moves, `{"transition":"answer","action":1,"text":"it was unplugged"}`).want(t, 200, `"state":"in_progress"`)
	h.call("paris", "POST", moves, `{"transition":"answer","action":1,"text":"again"}`).want(t, 409, "action 1 of INC-000001 is done")
}

func TestWhatThePeopleConcernedSayWakesWhatWaitsForThem(t *testing.T) {
	h := newHouse(t)
	h.call("first_line", "POST", moves, `{"transition":"take"}`)
	h.call("first_line", "POST", moves, `{"transition":"hold","reason":"requester","text":"which door?","until":"2026-04-01T00:00:00Z"}`).
		want(t, 200, `"sla":"paused"`)
	h.call("paris", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"the left one"}`).want(t, 201, "")
	h.call("paris", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, `"state":"in_progress"`)
}

func TestBulkAnswersForEachWhatAloneWouldHaveBeenAnswered(t *testing.T) {
	h := newHouse(t)
	bulk := "/api/v1/incidents/bulk"
	got := h.call("first_line", "POST", bulk, `{"refs":["INC-000001","INC-000002","INC-000009"],"transition":"take"}`, "Idempotency-Key", "k").
		want(t, 200, `"status":404`)
	again := h.call("first_line", "POST", bulk, `{"refs":["INC-000001","INC-000002","INC-000009"],"transition":"take"}`, "Idempotency-Key", "k")
	if got.text != again.text {
		t.Errorf("the same request again answered\n%s\nand not\n%s", again.text, got.text)
	}
	h.call("first_line", "POST", bulk, `{"refs":["INC-000001"],"transition":"resolve"}`).
		want(t, 200, `"status":422`).want(t, 200, `"field":"summary"`)
	h.call("paris", "POST", bulk, `{"refs":["INC-000001","INC-000002"],"transition":"escalate","reason":"x"}`).
		want(t, 200, "end-user-cannot-escalate").want(t, 200, `"status":404`)
	h.call("first_line", "POST", bulk, `{"refs":["INC-000001","INC-000001"],"transition":"take"}`).want(t, 422, "twice")
	h.call("first_line", "POST", bulk, `{"refs":["`+strings.Repeat(`x","`, 10_000)+`"],"transition":"take"}`).want(t, 422, "")
}

func TestExplainedClocksAddUp(t *testing.T) {
	h := newHouse(t)
	for i, say := range []string{`{"transition":"take"}`,
		`{"transition":"hold","reason":"scheduled","text":"on Monday","until":"2026-04-01T00:00:00Z"}`, `{"transition":"wake"}`} {
		h.parts.Now = func() time.Time { return noon.Add(time.Duration(i)*time.Hour + 1500*time.Millisecond) }
		h.parts.Registerer = nil
		h.app = New(h.parts)
		h.call("first_line", "POST", moves, say).want(t, 200, "")
	}
	got := h.call("paris", "GET", "/api/v1/incidents/INC-000001/clocks?explain=1", "").want(t, 200, `"stop":"hold: scheduled"`)
	var page Page[Clock]
	if err := json.Unmarshal([]byte(got.text), &page); err != nil {
		t.Fatal(err)
	}
	for _, k := range page.Items {
		var sum int64
		for _, s := range k.Segments {
			sum += s.Consumed
		}
		if sum != k.Consumed || k.Remaining != k.Target-k.Consumed {
			t.Errorf("%s: segments of %d s, consumed %d of %d, remaining %d", k.Name, sum, k.Consumed, k.Target, k.Remaining)
		}
	}
	h.call("rome", "GET", "/api/v1/incidents/INC-000001/clocks", "").want(t, 404, "")
}

func TestCalendarsAndAgreements(t *testing.T) {
	h := newHouse(t)
	shop, paris := "/api/v1/calendars/shop", "/api/v1/agreements/paris"
	hours := `{"zone":"Europe/Paris","hours":{"mon-sat":"09:00-19:00"},"holidays":["12-25"]}`
	h.call("noc", "GET", "/api/v1/calendars", "").want(t, 200, `"24x7"`)
	h.call("first_line", "PUT", shop, hours).want(t, 403, "")
	h.call("manager", "PUT", shop, `{"zone":"Mars/Olympus"}`).want(t, 422, `"field":"zone"`).want(t, 422, `"field":"hours"`)
	h.call("manager", "PUT", paris, `{"kind":"sla","calendar":"shop","targets":{"3":{}}}`).want(t, 422, "no calendar")
	h.call("manager", "PUT", shop, hours).want(t, 200, `"id":"shop"`)
	h.call("manager", "PUT", shop, hours).want(t, 428, "")
	h.call("manager", "PUT", shop, hours, "If-Match", `"7"`).want(t, 412, "")
	if got := h.call("manager", "PUT", shop, hours, "If-Match", `"1"`).want(t, 200, ""); got.Header.Get("ETag") != `"2"` {
		t.Errorf("got ETag %s", got.Header.Get("ETag"))
	}
	h.call("manager", "PUT", paris, `{"kind":"sla","calendar":"shop","sites":["paris"],"targets":{"3":{"respond_minutes":30,"resolve_minutes":600}}}`).
		want(t, 200, `"id":"paris"`)
	h.call("manager", "DELETE", shop, "", "If-Match", `"2"`).want(t, 409, "still counted by")
	h.call("first_line", "POST", "/api/v1/incidents", `{"summary":"dark","site":"paris"}`).want(t, 201, "")
	h.call("first_line", "GET", "/api/v1/incidents/INC-000003/clocks", "").want(t, 200, `"agreement":"paris@1","calendar":"shop@2"`)
	h.call("manager", "DELETE", paris, "").want(t, 428, "")
	h.call("manager", "DELETE", paris, "", "If-Match", `"1"`).want(t, 204, "")
	h.call("manager", "GET", paris, "").want(t, 404, "")
	h.call("manager", "DELETE", shop, "", "If-Match", `"2"`).want(t, 204, "")
	h.call("manager", "PUT", shop, hours).want(t, 200, "")
}

func TestSilencesAreForTheDeskAndWindowsForManagers(t *testing.T) {
	h := newHouse(t)
	silence := `{"device":"FC-3","from":"2026-03-27T00:00:00Z","to":"2026-03-28T00:00:00Z","reason":"new shelves"}`
	h.call("paris", "PUT", "/api/v1/silences/s1", silence).want(t, 403, "")
	h.call("first_line", "PUT", "/api/v1/silences/s1", silence).want(t, 200, `"author":"first_line"`)
	h.call("first_line", "PUT", "/api/v1/silences/s1", strings.Replace(silence, "FC-3", "FC-4", 1), "If-Match", `"1"`).want(t, 422, "only its end")
	h.call("first_line", "PUT", "/api/v1/windows/w1", `{"from":"2026-03-27T00:00:00Z","to":"2026-03-28T00:00:00Z","reason":"x"}`).want(t, 403, "")
	if err := h.parts.Desk.Receive(t.Context(), []telemetry.Finding{finding("FC-3", "paris")}); err != nil {
		t.Fatal(err)
	}
	h.call("paris", "GET", "/api/v1/incidents/INC-000003", "").want(t, 200, `"held_back":"held back because of the silence s1: new shelves"`)
	h.call("noc", "GET", "/api/v1/silences", "").want(t, 200, `"s1"`)
	h.call("second_line", "DELETE", "/api/v1/silences/s1", "", "If-Match", `"1"`).want(t, 204, "")
}
