package mailbox

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// house is a mailbox over a real database behind a real SMTP server.
type house struct {
	t       *testing.T
	box     *Mailbox
	desk    *incidents.Desk
	address string
	files   map[string]string
}

func newHouse(t *testing.T, lmtp bool) *house {
	t.Helper()
	ctx := context.Background()
	tickets, err := store.Open(ctx, filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tickets.Close() })
	err = tickets.Import(ctx, []telemetry.Site{{ID: "rome", Zone: "Europe/Rome", Contact: "Boss@rome.example"}, {ID: "paris", Zone: "Europe/Paris"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, email := range map[string]string{"rosa": "rosa@rome.example", "anna": "anna@desk.example", "zoe": "zoe@paris.example"} {
		if _, err := tickets.PutContact(ctx, incidents.Contact{Name: name, Email: email, Language: "en"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	h := &house{t: t, desk: incidents.NewDesk(tickets, incidents.Config{}, nil, nil), files: map[string]string{}}
	h.box = New(Options{Desk: h.desk, People: tickets, Tenant: "default", Own: "desk@belfry.example", Now: func() time.Time { return noon },
		Attach: func(_ context.Context, ref, name string, data []byte, by incidents.Actor) error {
			h.files[ref+"/"+name] = string(data)
			return nil
		}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.address = l.Addr().String()
	server := NewServer(ServerOptions{Address: "desk@belfry.example", LMTP: lmtp, Default: "default", Find: func(tenant string) *Mailbox {
		return map[string]*Mailbox{"default": h.box}[tenant]
	}})
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, server, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

// send gives a message to the server; headers and body as they stand.
func (h *house) send(from, to, text string) error {
	return smtp.SendMail(h.address, nil, from, []string{to}, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
}

func (h *house) get(ref string) incidents.Incident {
	h.t.Helper()
	inc, err := h.desk.Get(context.Background(), ref, incidents.Actor{Role: incidents.Admin})
	if err != nil {
		h.t.Fatalf("%s: %v", ref, err)
	}
	return inc
}

func (h *house) said(ref string) (texts []string) {
	h.t.Helper()
	events, _, err := h.desk.Timeline(context.Background(), ref, 0, 100, incidents.Actor{Role: incidents.Admin})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == incidents.Comment {
			texts = append(texts, e.Actor+": "+e.Text)
		}
	}
	return texts
}

const desk = "desk@belfry.example"

func letter(from, subject, headers, body string) string {
	return "From: " + from + "\nTo: desk@belfry.example\nSubject: " + subject + "\n" + headers + "\n" + body + "\n"
}

func TestAMessageOpensATicketAndAnswersContinueIt(t *testing.T) {
	h := newHouse(t, false)
	text, err := os.ReadFile("testdata/photo.eml")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same message again: its server did not hear the answer
		if err := h.send("boss@rome.example", desk, string(text)); err != nil {
			t.Fatal(err)
		}
	}
	inc := h.get("INC-000001")
	if inc.Summary != "La porte n° 2 ne compte plus" || inc.Site != "rome" || inc.Reporter != "boss@rome.example" || !strings.Contains(inc.Description, "Depuis ce matin") {
		t.Errorf("got %+v", inc)
	}
	if h.files["INC-000001/porte.png"] != "\x89PNG\r\n\x1a\nxyz" {
		t.Errorf("files: %q", h.files)
	}
	reply := letter("Boss <boss@rome.example>", "Re: something else", "Message-ID: <2@rome.example>\nIn-Reply-To: <default.INC-000001.3.email.boss.rome.example@belfry.example>\n",
		"It works again.\n\nOn Friday the desk wrote:\n> Hello\n> it is dark")
	if err := h.send("boss@rome.example", desk, reply); err != nil {
		t.Fatal(err)
	}
	bySubject := letter("boss@rome.example", "AW: [INC-000001] La porte", "Message-ID: <3@rome.example>\n", "Thank you.")
	if err := h.send("boss@rome.example", desk, bySubject); err != nil {
		t.Fatal(err)
	}
	if got := h.said("INC-000001"); len(got) != 2 || got[0] != "boss@rome.example: It works again." || got[1] != "boss@rome.example: Thank you." {
		t.Errorf("the timeline says %q", got)
	}
	if _, err := h.desk.Get(context.Background(), "INC-000002", incidents.Actor{Role: incidents.Admin}); err == nil {
		t.Error("a second ticket was opened")
	}
}

func TestWhoIsNotConcernedOpensAnotherTicket(t *testing.T) {
	h := newHouse(t, false)
	if err := h.send("boss@rome.example", desk, letter("boss@rome.example", "dark", "Message-ID: <1@x>\n", "x")); err != nil {
		t.Fatal(err)
	}
	if err := h.send("zoe@paris.example", desk, letter("zoe@paris.example", "about INC-000001", "Message-ID: <2@x>\n", "what is it?")); err != nil {
		t.Fatal(err)
	}
	if said := h.said("INC-000001"); len(said) != 0 {
		t.Errorf("a stranger to it wrote %q", said)
	}
	if inc := h.get("INC-000002"); inc.Reporter != "zoe" || inc.Site != telemetry.Unassigned {
		t.Errorf("got %+v", inc)
	}
	if err := h.send("eve@evil.example", desk, letter("eve@evil.example", "hi", "", "x")); err == nil || !strings.Contains(err.Error(), "554") {
		t.Errorf("nobody knows eve: %v", err)
	}
	h.box.Strangers = true
	if err := h.send("eve@evil.example", desk, letter("eve@evil.example", "hi", "", "x")); err != nil {
		t.Error(err)
	}
	if err := h.send("boss@rome.example", "else@belfry.example", letter("boss@rome.example", "x", "", "x")); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("another mailbox: %v", err)
	}
	if err := h.send("boss@rome.example", "desk+nobody@belfry.example", letter("boss@rome.example", "x", "", "x")); err == nil || !strings.Contains(err.Error(), "550") {
		t.Errorf("another tenant: %v", err)
	}
	if err := h.send("boss@rome.example", "desk+default@belfry.example", letter("boss@rome.example", "y", "", "y")); err != nil {
		t.Error(err)
	}
}

func TestMachinesAreHeardAndDropped(t *testing.T) {
	h := newHouse(t, false)
	for name, tt := range map[string]struct{ sender, from, headers string }{
		"an automatic answer":  {"boss@rome.example", "boss@rome.example", "Auto-Submitted: auto-replied\n"},
		"a list":               {"boss@rome.example", "boss@rome.example", "List-Id: <l.example>\n"},
		"bulk":                 {"boss@rome.example", "boss@rome.example", "Precedence: bulk\n"},
		"a report of delivery": {"", "boss@rome.example", ""},
		"a daemon":             {"x@rome.example", "MAILER-DAEMON@rome.example", ""},
		"our own address":      {"desk@belfry.example", "desk@belfry.example", ""},
		"our own message":      {"boss@rome.example", "boss@rome.example", "Message-ID: <default.INC-000001.1.email.x@belfry.example>\n"},
	} {
		ref, outcome, err := h.box.Take(context.Background(), tt.sender, []byte(letter(tt.from, "x", tt.headers, "x")))
		if ref != "" || outcome != Machine || err != nil {
			t.Errorf("%s: %q %s %v", name, ref, outcome, err)
		}
	}
	h.box.PerHour = 3
	for i := range 5 {
		_, outcome, _ := h.box.Take(context.Background(), "boss@rome.example", []byte(letter("boss@rome.example", fmt.Sprint(i), fmt.Sprintf("Message-ID: <%d@x>\n", i), "x")))
		if want := map[bool]Outcome{true: Opened, false: TooMany}[i < 3]; outcome != want {
			t.Errorf("message %d of an hour: %s, want %s", i, outcome, want)
		}
	}
}

func TestTooLargeIsRefusedWhileItComes(t *testing.T) {
	h := newHouse(t, false)
	err := h.send("boss@rome.example", desk, letter("boss@rome.example", "x", "", strings.Repeat("x\n", MaxMessage/2)))
	if err == nil || !strings.Contains(err.Error(), "552") {
		t.Errorf("got %v", err)
	}
}

func TestByLMTP(t *testing.T) {
	h := newHouse(t, true)
	conn, err := net.Dial("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "LHLO x\r\nMAIL FROM:<boss@rome.example>\r\nRCPT TO:<desk@belfry.example>\r\nDATA\r\n")
	buffer, got := make([]byte, 4096), ""
	for !strings.Contains(got, "354") {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %s", err, got)
		}
		got += string(buffer[:n])
	}
	fmt.Fprintf(conn, "%s\r\n.\r\n", strings.ReplaceAll(letter("boss@rome.example", "dark", "", "x"), "\n", "\r\n"))
	if n, err := conn.Read(buffer); err != nil || !strings.HasPrefix(string(buffer[:n]), "250") {
		t.Fatalf("%s, %v", buffer[:n], err)
	}
	h.get("INC-000001")
}

func FuzzParse(f *testing.F) {
	if text, err := os.ReadFile("testdata/photo.eml"); err == nil {
		f.Add(text)
	}
	f.Add([]byte(letter("a@b", "=?utf-8?q?=41?=", "Content-Type: text/html\n", "<p>x<script>y</script>")))
	f.Add([]byte("From: x@y\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Transfer-Encoding: base64\n\n!!!\n--a--"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		if m.From == "" || strings.ContainsAny(m.Subject+m.Name, "\r\n") || len(m.Text) > maxText+3 || len(m.Subject) > maxSubject+3 || len(m.Files) > maxFiles {
			t.Errorf("got %+v", m)
		}
	})
}
