package main

import (
	"fmt"
	"net/http"
	"net/smtp"
	"os"
	"strings"
	"testing"
)

// TestMessagesToARunningBelfry sends what the mail server of a house sends on to the
// process: a message opens a ticket with its file, an answer continues it, what comes
// again after a crash does nothing, and what is of a stranger or of a machine opens none.
func TestMessagesToARunningBelfry(t *testing.T) {
	data, address := t.TempDir(), "127.0.0.1:"+freePort(t)
	settings := []string{"BELFRY_MAIL_IN_LISTEN=" + address, "BELFRY_MAIL_IN_ADDRESS=desk@belfry.example"}
	p := serve(t, data, settings...)
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites":[{"id":"rome","zone":"Europe/Rome","contact":"boss@rome.example"}],"devices":[]}`, nil)
	send := func(from, text string) error {
		return smtp.SendMail(address, nil, from, []string{"desk@belfry.example"}, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
	}
	letter := func(from, headers, body string) string {
		return "From: " + from + "\nTo: desk@belfry.example\n" + headers + "\n\n" + body + "\n"
	}
	const boss = "boss@rome.example"
	photo, err := os.ReadFile("incidents/mailbox/testdata/photo.eml")
	if err != nil {
		t.Fatal(err)
	}
	if err := send(boss, string(photo)); err != nil {
		t.Fatal(err)
	}
	var one struct{ Ref, Summary, Site, Reporter, Channel string }
	p.must(http.StatusOK, "GET", "/api/v1/incidents/INC-000001", "", &one)
	if one.Summary != "La porte n° 2 ne compte plus" || one.Site != "rome" || one.Reporter != boss || one.Channel != "email" {
		t.Errorf("the message opened %+v", one)
	}
	files := p.list("/api/v1/incidents/INC-000001/attachments")
	if len(files) != 1 || files[0]["name"] != "porte.png" || files[0]["type"] != "image/png" {
		t.Fatalf("attached: %v", files)
	}
	if status, file := p.request("GET", fmt.Sprint("/api/v1/incidents/INC-000001/attachments/", files[0]["id"]), ""); status != http.StatusOK || file != "\x89PNG\r\n\x1a\nxyz" {
		t.Errorf("the file: %d %q", status, file)
	}
	reply := letter(boss, "Subject: Re: [INC-000001] La porte\nMessage-ID: <2@rome.example>", "It works again.\n\n> quoted")
	if err := send(boss, reply); err != nil {
		t.Fatal(err)
	}

	p.kill()
	p = serve(t, data, settings...)
	for _, text := range []string{string(photo), reply} { // their server did not hear that we have them
		if err := send(boss, text); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	for _, e := range p.list("/api/v1/incidents/INC-000001/timeline") {
		said = append(said, fmt.Sprint(e["kind"], " ", e["text"]))
	}
	if got := strings.Join(said, "; "); strings.Count(got, "It works again.") != 1 || strings.Count(got, "attached porte.png") != 1 || strings.Contains(got, "quoted") {
		t.Errorf("the timeline says %s", got)
	}

	for what, tt := range map[string]struct{ from, text, want string }{
		"a stranger's":        {"eve@evil.example", letter("eve@evil.example", "Subject: hi", "x"), "554"},
		"an automatic answer": {boss, letter(boss, "Subject: away\nAuto-Submitted: auto-replied", "x"), ""},
		"our own":             {"desk@belfry.example", letter("desk@belfry.example", "Subject: loop", "x"), ""},
	} {
		if err := send(tt.from, tt.text); (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("a message that is %s: got %v; want %q", what, err, tt.want)
		}
	}
	if list := p.list("/api/v1/incidents"); len(list) != 1 {
		t.Errorf("there are %d tickets; want one", len(list))
	}
	if got := p.counter(`belfry_mailbox_messages_total{outcome="machine",tenant="default"}`); got != 2 {
		t.Errorf("%v messages were taken for a machine's; want 2", got)
	}
	p.stop()
}
