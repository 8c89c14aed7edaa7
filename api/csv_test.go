package api

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
)

func TestListsAsASpreadsheet(t *testing.T) {
	h := newHouse(t)
	h.call("manager", "POST", "/api/v1/incidents", `{"summary":"=HYPERLINK(\"http://evil.example\"), \"here\"","site":"paris"}`).want(t, 201, "")
	got := h.call("noc", "GET", "/api/v1/incidents?format=csv", "").want(t, 200, "ref,state,")
	if kind := got.Header.Get("Content-Type"); kind != typeCSV {
		t.Errorf("got %s", kind)
	}
	rows, err := csv.NewReader(strings.NewReader(got.text)).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v; want a head and three incidents", len(rows), err)
	}
	row := map[string]string{}
	for i, name := range rows[0] {
		row[name] = rows[1][i]
	}
	if row["summary"] != `'=HYPERLINK("http://evil.example"), "here"` || row["zone"] != "Europe/Paris" || row["opened_at"] != "2026-03-27T12:00:00Z" || row["closed_at"] != "" {
		t.Errorf("got %v", row)
	}
	first := h.call("noc", "GET", "/api/v1/incidents?limit=2", "", "Accept", "text/csv;q=1, */*").want(t, 200, "ref,state")
	link, _, _ := strings.Cut(strings.TrimPrefix(first.Header.Get("Link"), "<"), ">")
	if next := h.call("noc", "GET", link, "", "Accept", "text/csv").want(t, 200, "INC-000001"); strings.Contains(next.text, "INC-000002") {
		t.Errorf("the page after %s is %s", link, next.text)
	}
	h.call("noc", "GET", "/api/v1/devices?format=csv", "").want(t, 200, "name,site,status,labels")
	h.call("noc", "GET", "/api/v1/incidents?format=json", "", "Accept", "text/csv").want(t, 200, `{"items"`)
	h.call("noc", "GET", "/api/v1/incidents", "", "Accept", "application/json, text/csv").want(t, 200, `{"items"`)
	h.call("noc", "GET", "/api/v1/incidents?format=xml", "").want(t, 422, "query.format")
	h.call("noc", "GET", "/api/v1/incidents?format=csv&limit=0", "").want(t, 422, "query.limit")
}

func TestACellIsNoFormula(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "＝1": "'＝1", "a=b": "a=b", "": ""} {
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := cell(value); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	for value, want := range map[string]string{"-7": "-7", "true": "true", "null": "", "": "", `{"a":"b"}`: `{"a":"b"}`} {
		if got := cell(json.RawMessage(value)); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}

func TestAnIncidentSaysTheZoneOfItsSite(t *testing.T) {
	h := newHouse(t)
	h.call("noc", "GET", "/api/v1/incidents/INC-000002", "").want(t, 200, `"zone":"Europe/Rome"`)
	h.call("noc", "GET", "/api/v1/incidents", "").want(t, 200, `"zone":"Europe/Paris"`)
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 200, `"zone":"Europe/Paris"`)
}
