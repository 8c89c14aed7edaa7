package api

import (
	"fmt"
	"testing"

	"belfry/incidents"
)

// told is a house whose desk writes notices.
func told(t *testing.T) *house {
	h := newHouse(t)
	h.parts.Desk = incidents.NewDesk(incidents.WithNotices(h.tickets, true, h.parts.Now), incidents.Config{}, nil, nil)
	h.parts.Registerer = nil
	h.app = New(h.parts)
	h.token["manager of rome"] = h.makeToken(incidents.Token{Name: "mr", Role: incidents.Manager, Site: "rome"})
	return h
}

func TestWebhooks(t *testing.T) {
	h := told(t)
	made := h.call("manager", "POST", "/api/v1/webhooks", `{"url":"https://helpdesk.example/hook","kinds":["take"]}`).want(t, 201, `"secret":"whsec_`)
	id := made.json["id"].(string)
	if one := h.call("admin", "GET", "/api/v1/webhooks/"+id, "").want(t, 200, "helpdesk.example"); one.json["secret"] != nil {
		t.Error("the secret is shown again")
	}
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 200, "")
	list := h.call("manager", "GET", "/api/v1/webhooks/"+id+"/deliveries", "").want(t, 200, `"reason":"subscription"`)
	notice := list.items()[0].(map[string]any)["id"]
	h.call("first_line", "GET", "/api/v1/incidents/INC-000001/notices", "").want(t, 200, `"outcome":"waiting"`)
	replay := fmt.Sprintf("/api/v1/webhooks/%s/deliveries/%v/replay", id, notice)
	h.call("manager", "POST", replay, "").want(t, 204, "")
	h.call("manager", "POST", fmt.Sprintf("/api/v1/webhooks/%s/deliveries/999/replay", id), "").want(t, 404, "no delivery")

	tag := made.Header.Get("ETag")
	h.call("manager", "PATCH", "/api/v1/webhooks/"+id, `{"paused":true}`).want(t, 428, "")
	h.call("manager", "PATCH", "/api/v1/webhooks/"+id, `{"paused":true}`, "If-Match", tag).want(t, 200, `"paused":true`)
	h.call("manager", "PATCH", "/api/v1/webhooks/"+id, `{"paused":false}`, "If-Match", tag).want(t, 412, "")
	h.call("manager", "PATCH", "/api/v1/webhooks/"+id, `{"url":"file:///etc/passwd"}`, "If-Match", "*").want(t, 422, `"field":"url"`)
	h.call("manager", "DELETE", "/api/v1/webhooks/"+id, "", "If-Match", "*").want(t, 204, "")
	h.call("manager", "GET", "/api/v1/webhooks/"+id, "").want(t, 404, "no webhook")
	h.call("manager", "DELETE", "/api/v1/webhooks/"+id, "", "If-Match", "*").want(t, 404, "no webhook")
}

func TestAWebhookOfASiteIsTheSitesAlone(t *testing.T) {
	h := told(t)
	all := h.call("manager", "POST", "/api/v1/webhooks", `{"url":"https://a.example/"}`).want(t, 201, "").json["id"].(string)
	own := h.call("manager of rome", "POST", "/api/v1/webhooks", `{"url":"https://b.example/"}`).want(t, 201, `"site":"rome"`).json["id"].(string)
	h.call("manager of rome", "POST", "/api/v1/webhooks", `{"url":"https://b.example/","site":"paris"}`).want(t, 422, "no such site")
	h.call("manager of rome", "GET", "/api/v1/webhooks/"+all, "").want(t, 404, "no webhook")
	h.call("manager of rome", "GET", "/api/v1/webhooks/"+all+"/deliveries", "").want(t, 404, "no webhook")
	h.call("manager of rome", "GET", "/api/v1/webhooks/"+own, "").want(t, 200, "")
	if got := h.call("manager of rome", "GET", "/api/v1/webhooks", "").items(); len(got) != 1 {
		t.Errorf("rome sees %d webhooks", len(got))
	}
	for _, body := range []string{`{"url":"ftp://a.example/"}`, `{"url":"https://user:secret@a.example/"}`, `{"url":"https:///x"}`, `{"url":"https://a.example/","kinds":["explode"]}`} {
		h.call("manager", "POST", "/api/v1/webhooks", body).want(t, 422, "")
	}
	h.call("first_line", "GET", "/api/v1/webhooks", "").want(t, 403, "")
}

func TestContacts(t *testing.T) {
	h := told(t)
	put := func(body string, headers ...string) answer {
		return h.call("manager", "PUT", "/api/v1/contacts/rosa", body, headers...)
	}
	made := put(`{"email":"rosa@rome.example","language":"ro","zone":"Europe/Rome","hours":{"mon-fri":"09:00-17:00"}}`).want(t, 200, `"fri":"09:00-17:00"`)
	put(`{"email":"r@rome.example"}`).want(t, 428, "")
	put(`{"email":"r@rome.example"}`, "If-Match", made.Header.Get("ETag")).want(t, 200, `"language":"en"`)
	put(`{"email":"r@rome.example"}`, "If-Match", made.Header.Get("ETag")).want(t, 412, "")
	for body, field := range map[string]string{
		`{"email":"no address"}`:                            "email",
		`{"email":"Rosa <rosa@rome.example>"}`:              "email",
		`{"email":"r@rome.example","zone":"Emerald/City"}`:  "zone",
		`{"email":"r@rome.example","hours":{"mon":"late"}}`: "hours",
		`{"email":"r@rome.example","language":"klingon"}`:   "language",
	} {
		put(body, "If-Match", "*").want(t, 422, field)
	}
	h.call("admin", "GET", "/api/v1/contacts", "").want(t, 200, "r@rome.example")
	h.call("admin", "GET", "/api/v1/contacts/rosa", "").want(t, 200, `"name":"rosa"`)
	h.call("admin", "GET", "/api/v1/contacts/nobody", "").want(t, 404, "no contact")
	h.call("manager of rome", "GET", "/api/v1/contacts", "").want(t, 403, "")
}
