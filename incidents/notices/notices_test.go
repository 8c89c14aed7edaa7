package notices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC) // a Friday

var (
	anna = incidents.Actor{Name: "anna", Role: incidents.FirstLine, Source: incidents.ByAPI}
	rosa = incidents.Actor{Name: "rosa", Role: incidents.SiteManager, Site: "rome", Source: incidents.ByAPI}
)

// office is a desk over a real database with a worker for its notices. Its clock
// is moved by the test.
type office struct {
	t      *testing.T
	now    time.Time
	store  *store.Tickets
	desk   *incidents.Desk
	worker *Worker
	post   *postOffice
}

func newOffice(t *testing.T) *office {
	t.Helper()
	ctx := context.Background()
	o := &office{t: t, now: noon, post: newPostOffice(t, nil)}
	var err error
	if o.store, err = store.Open(ctx, filepath.Join(t.TempDir(), "tickets.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.store.Close(); err != nil {
			t.Error(err)
		}
	})
	err = o.store.Import(ctx, []telemetry.Site{{ID: "rome", Zone: "Europe/Rome", Contact: "boss@rome.example"}},
		[]telemetry.Device{{Name: "FC-2", Site: "rome"}})
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return o.now }
	o.desk = incidents.NewDesk(incidents.WithNotices(o.store, true, clock), incidents.Config{}, nil, nil)
	o.worker = New(Options{Outbox: o.store, Tenant: "default", AllowPrivate: true, Now: clock,
		Mail: Mail{Server: o.post.address, From: "Belfry <desk@belfry.example>"}})
	return o
}

func (o *office) contact(c incidents.Contact) {
	o.t.Helper()
	if _, err := o.store.PutContact(context.Background(), c, 0); err != nil {
		o.t.Fatal(err)
	}
}

// report lets rosa report something, and returns its reference.
func (o *office) report() string {
	o.t.Helper()
	inc, err := o.desk.Report(context.Background(), incidents.NewReport{Summary: "door 2 is dead", Site: "rome"}, rosa, o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	return inc.Ref
}

func (o *office) move(ref string, actor incidents.Actor, req incidents.Request) {
	o.t.Helper()
	if _, err := o.desk.Transition(context.Background(), ref, req, actor, o.now); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) say(ref, text string, internal bool) {
	o.t.Helper()
	if _, err := o.desk.Comment(context.Background(), ref, incidents.Request{Text: text, Internal: internal}, anna, o.now); err != nil {
		o.t.Fatal(err)
	}
}

// pass moves the clock and delivers what is due.
func (o *office) pass(d time.Duration) int {
	o.t.Helper()
	o.now = o.now.Add(d)
	n, err := o.worker.Deliver(context.Background(), o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

func (o *office) notices(q incidents.NoticeQuery) []incidents.NoticeRow {
	o.t.Helper()
	q.Limit = 100
	list, err := o.store.Notices(context.Background(), q)
	if err != nil {
		o.t.Fatal(err)
	}
	return list
}

// ear is a webhook's receiver.
type ear struct {
	*httptest.Server
	mu     sync.Mutex
	answer int
	heard  []*http.Request
	bodies []string
}

func newEar(t *testing.T) *ear {
	e := &ear{answer: 200}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard, e.bodies = append(e.heard, r), append(e.bodies, string(body))
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(e.answer)
	}))
	t.Cleanup(e.Close)
	return e
}

func (o *office) subscribe(w incidents.Webhook) incidents.Webhook {
	o.t.Helper()
	w.CreatedBy, w.CreatedAt = "mia", noon
	w, err := o.store.CreateWebhook(context.Background(), w)
	if err != nil {
		o.t.Fatal(err)
	}
	return w
}

func TestAWebhookIsCalledOnceForEachEventAndSigned(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	hook := o.subscribe(incidents.Webhook{URL: e.URL, Kinds: []incidents.Transition{incidents.Report, incidents.Comment}})
	o.subscribe(incidents.Webhook{URL: e.URL, Site: "paris"}) // hears nothing of rome
	ref := o.report()
	o.move(ref, anna, incidents.Request{Transition: incidents.Take}) // not subscribed to
	o.say(ref, "for the desk", true)
	o.say(ref, "for all", false)
	if n := o.pass(0); n != 2 || len(e.heard) != 2 {
		t.Fatalf("%d attempts, %d calls; want 2", n, len(e.heard))
	}
	for i, r := range e.heard {
		if got, want := r.Header.Get(HeaderSignature), Sign(hook.Secret, []byte(e.bodies[i]), o.now); got != want {
			t.Errorf("signed %s; want %s", got, want)
		}
	}
	var call Call
	if err := json.Unmarshal([]byte(e.bodies[1]), &call); err != nil {
		t.Fatal(err)
	}
	if call.Event.Kind != incidents.Comment || call.Event.Text != "for all" || call.Incident.Ref != ref || call.Reason != incidents.YouSubscribe ||
		call.Key != e.heard[1].Header.Get(HeaderNotice) || e.heard[1].Header.Get(HeaderEvent) != "comment" {
		t.Errorf("got %s", e.bodies[1])
	}
	if n := o.pass(time.Hour); n != 0 {
		t.Errorf("%d attempts more", n)
	}
}

func TestAFailedCallIsTriedAgainLaterAndLaterAndCanBeReplayed(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	hook := o.subscribe(incidents.Webhook{URL: e.URL, Kinds: []incidents.Transition{incidents.Report}})
	e.answer = 500
	o.report()
	o.pass(0)
	row := o.notices(incidents.NoticeQuery{Webhook: hook.ID})[0]
	if row.Attempts != 1 || row.Outcome != incidents.Waiting || !strings.Contains(row.Deliveries[0].Answer, "500") {
		t.Fatalf("got %+v", row)
	}
	if n := o.pass(firstWait - time.Second); n != 0 {
		t.Error("it did not wait")
	}
	for range maxAttempts {
		o.pass(2 * longestWait)
	}
	row = o.notices(incidents.NoticeQuery{Webhook: hook.ID})[0]
	if row.Attempts != maxAttempts || row.Outcome != incidents.GivenUp || len(row.Deliveries) != maxAttempts || len(e.heard) != maxAttempts {
		t.Fatalf("after all attempts: %d, %s, %d in the log, %d calls", row.Attempts, row.Outcome, len(row.Deliveries), len(e.heard))
	}
	e.answer = 204
	if err := o.store.Replay(context.Background(), hook.ID, row.ID, o.now); err != nil {
		t.Fatal(err)
	}
	if err := o.store.Replay(context.Background(), "wh_other", row.ID, o.now); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("another webhook replays it: %v", err)
	}
	o.pass(0)
	row = o.notices(incidents.NoticeQuery{Webhook: hook.ID})[0]
	if row.Outcome != incidents.Sent || e.bodies[0] != e.bodies[maxAttempts] {
		t.Errorf("after the replay: %s\n%s\n%s", row.Outcome, e.bodies[0], e.bodies[maxAttempts])
	}
}

func TestARedirectIsAFailure(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	hook := o.subscribe(incidents.Webhook{URL: e.URL})
	e.answer = 307
	o.report()
	o.pass(0)
	row := o.notices(incidents.NoticeQuery{Webhook: hook.ID})[0]
	if row.Outcome != incidents.Waiting || !strings.Contains(row.Deliveries[0].Answer, "redirects are not followed") {
		t.Errorf("got %+v", row)
	}
}

func TestAPrivateAddressIsNotCalled(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	o.worker.hooks = newHooks(false)
	_, port, _ := strings.Cut(strings.TrimPrefix(e.URL, "http://"), ":")
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		o.subscribe(incidents.Webhook{URL: "http://" + host + ":" + port})
	}
	o.report()
	o.pass(0)
	if len(e.heard) != 0 {
		t.Errorf("%d calls came through", len(e.heard))
	}
	for _, row := range o.notices(incidents.NoticeQuery{}) {
		if len(row.Deliveries) != 1 || row.Deliveries[0].OK {
			t.Errorf("got %+v", row)
		}
	}
	for address, public := range map[string]bool{
		"93.184.216.34:443": true, "[2606:2800:220:1::1]:443": true, "8.8.8.8:80": true,
		"10.0.0.1:80": false, "172.16.5.4:80": false, "192.168.1.1:80": false, "169.254.169.254:80": false, "100.64.0.1:80": false,
		"[fe80::1%eth0]:80": false, "[fd00::1]:80": false, "[::]:80": false, "224.0.0.1:80": false, "255.255.255.255:80": false,
		"[64:ff9b::7f00:1]:80": false, "[2002:7f00:1::]:80": false, "no address": false,
	} {
		if err := checkPublic(address); (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAKilledWorkersClaimsAreTakenUp(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	o.subscribe(incidents.Webhook{URL: e.URL})
	o.report()
	if _, err := o.store.ClaimNotices(context.Background(), o.now, o.now.Add(lease), 10); err != nil { // and is killed
		t.Fatal(err)
	}
	if n := o.pass(lease - time.Second); n != 0 {
		t.Errorf("%d attempts while the claim holds", n)
	}
	if n := o.pass(time.Second); n != 1 {
		t.Errorf("%d attempts after it; want 1", n)
	}
}

func TestAnEndedSubscriptionHearsNothing(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	hook := o.subscribe(incidents.Webhook{URL: e.URL})
	o.report()
	if err := o.store.DeleteWebhook(context.Background(), hook.ID, o.now); err != nil {
		t.Fatal(err)
	}
	o.report()
	if n := o.pass(0); n != 0 || len(e.heard) != 0 {
		t.Errorf("%d attempts", n)
	}
	if list := o.notices(incidents.NoticeQuery{}); len(list) != 1 || list[0].Outcome != incidents.Dropped {
		t.Errorf("got %+v", list)
	}
}

func TestANoticeIsThereWhenAndOnlyWhenItsEventIs(t *testing.T) {
	o := newOffice(t)
	o.subscribe(incidents.Webhook{URL: "http://127.0.0.1:1"})
	ref := o.report()
	broken := errors.New("the disk is full")
	tells := incidents.WithNotices(o.store, true, func() time.Time { return o.now })
	err := tells.Update(context.Background(), func(tx incidents.Tx) error {
		inc, err := tx.Get(ref)
		if err != nil {
			return err
		}
		next, event, err := incidents.Apply(inc, incidents.Request{Transition: incidents.Take}, anna, o.now)
		if err != nil {
			return err
		}
		return errors.Join(tx.Save([]incidents.Step{{Before: inc, After: next, Event: event}}), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if list := o.notices(incidents.NoticeQuery{}); len(list) != 1 || list[0].Seq != 1 {
		t.Errorf("got %+v", list)
	}
}

func TestOneMessageTellsOfSeveralChanges(t *testing.T) {
	o := newOffice(t)
	o.contact(incidents.Contact{Name: "rosa", Email: "rosa@rome.example", Language: "fr", Zone: "Europe/Rome"})
	ref := o.report() // her own act
	o.move(ref, anna, incidents.Request{Transition: incidents.Take})
	o.pass(time.Minute)
	o.say(ref, "rosa ne sait pas", true)
	o.say(ref, "Bonjour & <merci>", false)
	if n := o.pass(30 * time.Second); n != 0 {
		t.Errorf("%d messages before the two minutes are over", n)
	}
	o.pass(30 * time.Second)
	list := o.post.got()
	if len(list) != 1 {
		t.Fatalf("%d messages; want 1", len(list))
	}
	m := list[0]
	if m.from != "desk@belfry.example" || m.to != "rosa@rome.example" {
		t.Errorf("from %s to %s", m.from, m.to)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.header.Get("Subject"))
	if want := "[" + ref + "] door 2 is dead"; subject != want || err != nil {
		t.Errorf("subject %q, %v; want %q", subject, err, want)
	}
	for _, want := range []string{"anna s’en occupe.", "anna a écrit :", "Bonjour & <merci>", "parce que vous l’avez signalé", "27/03/2026 13:00 CET"} {
		if !strings.Contains(m.parts["text/plain"], want) {
			t.Errorf("the text has no %q:\n%s", want, m.parts["text/plain"])
		}
	}
	if html := m.parts["text/html"]; !strings.Contains(html, "Bonjour &amp; &lt;merci&gt;") || !strings.Contains(html, `lang="fr"`) {
		t.Errorf("got %s", html)
	}
	if strings.Contains(m.parts["text/plain"], "ne sait pas") {
		t.Error("an internal note was sent")
	}
	thread := m.header.Get("References")
	o.move(ref, anna, incidents.Request{Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: "plugged in", Item: "FC-2"})
	o.pass(incidents.Gathering)
	list = o.post.got() // to rosa and to the site's contact
	slices.SortFunc(list, func(a, b letter) int { return strings.Compare(a.to, b.to) })
	if len(list) != 2 || list[0].to != "boss@rome.example" || !strings.Contains(list[0].parts["text/plain"], "contact of the site") {
		t.Fatalf("got %+v", list)
	}
	if got := list[1].header; got.Get("References") != thread || got.Get("In-Reply-To") != thread || got.Get("Message-ID") == m.header.Get("Message-ID") {
		t.Errorf("the second message does not continue the thread %s: %v", thread, got)
	}
	for _, row := range o.notices(incidents.NoticeQuery{Ref: ref}) {
		if row.Outcome != incidents.Sent || row.Reason == "" || len(row.Deliveries) != 1 {
			t.Errorf("got %+v", row)
		}
	}
}

func TestNoMessageReachesAPersonOutsideTheirHours(t *testing.T) {
	o := newOffice(t)
	c := incidents.Contact{Name: "rosa", Email: "rosa@rome.example", Language: "ro", Zone: "Europe/Rome"}
	if err := c.Hours.Add("mon-fri", "09:00-13:01"); err != nil {
		t.Fatal(err)
	}
	o.contact(c)
	ref := o.report()
	o.move(ref, anna, incidents.Request{Transition: incidents.Take}) // Friday 13:00 in Rome
	for range 5 {
		o.pass(12 * time.Hour)
	}
	if list := o.post.got(); len(list) != 0 {
		t.Fatalf("%d messages at the weekend", len(list))
	}
	o.now = time.Date(2026, 3, 30, 6, 59, 59, 0, time.UTC) // Monday 08:59:59, summer time now
	o.pass(0)
	if list := o.post.got(); len(list) != 0 {
		t.Error("a message before nine")
	}
	o.pass(time.Second)
	if list := o.post.got(); len(list) != 1 || !strings.Contains(list[0].parts["text/plain"], "anna se ocupă de el.") {
		t.Errorf("got %+v", list)
	}
}

// TestWhoHasNoHoursKeepsThoseOfTheOffice: only what is pressing comes at night.
func TestWhoHasNoHoursKeepsThoseOfTheOffice(t *testing.T) {
	o := newOffice(t)
	o.worker.Office = o.desk.Office
	o.contact(incidents.Contact{Name: "rosa", Email: "rosa@rome.example", Language: "en"})
	o.contact(incidents.Contact{Name: "yuki", Email: "yuki@tokyo.example", Language: "en", Zone: "Asia/Tokyo"})
	o.now = time.Date(2026, 3, 27, 23, 0, 0, 0, time.UTC) // Friday night
	ref, pressing := o.report(), o.report()
	o.move(ref, anna, incidents.Request{Transition: incidents.Assign, Assignee: "yuki"})
	o.pass(time.Hour)
	if list := o.post.got(); len(list) != 0 {
		t.Fatalf("at night came %+v", list)
	}
	o.move(pressing, anna, incidents.Request{Transition: incidents.Major, Reason: "all doors"})
	o.move(pressing, anna, incidents.Request{Transition: incidents.Take})
	o.pass(time.Hour)
	if list := o.post.got(); len(list) != 1 || list[0].to != "rosa@rome.example" || !strings.Contains(list[0].header.Get("Subject"), pressing) {
		t.Fatalf("of the major incident came %+v", list)
	}
	o.now = time.Date(2026, 3, 30, 1, 0, 0, 0, time.UTC) // Monday: ten in Tokyo, nobody in the office
	o.pass(0)
	if list := o.post.got(); len(list) != 1 || list[0].to != "yuki@tokyo.example" {
		t.Fatalf("on Monday morning in Tokyo came %+v", list)
	}
	o.now = time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC)
	o.pass(0)
	if list := o.post.got(); len(list) != 1 || list[0].to != "rosa@rome.example" {
		t.Fatalf("in the office's hours came %+v", list)
	}
}

func TestMailIsTriedAgain(t *testing.T) {
	o := newOffice(t)
	o.contact(incidents.Contact{Name: "rosa", Email: "rosa@rome.example", Language: "en"})
	ref := o.report()
	o.move(ref, anna, incidents.Request{Transition: incidents.Take})
	o.post.busy = 1
	o.pass(incidents.Gathering)
	if row := o.notices(incidents.NoticeQuery{})[0]; row.Outcome != incidents.Waiting || !strings.Contains(row.Deliveries[0].Answer, "busy just now") {
		t.Errorf("got %+v", row)
	}
	o.pass(2 * firstWait)
	if list := o.post.got(); len(list) != 1 {
		t.Errorf("%d messages; want 1", len(list))
	}
}

func TestMailIsEncryptedAndSignedInWhereTheServerCan(t *testing.T) {
	server, client := certificate(t)
	post := newPostOffice(t, server)
	m := Mail{Server: post.address, User: "desk", Password: "secret", From: "desk@belfry.example"}
	if _, err := m.send(context.Background(), "a@b.example", "c@d.example", []byte("x")); err == nil {
		t.Error("a server that nobody vouches for was trusted")
	}
	m.TLS = client
	text, err := envelope{from: parsed("a@b.example"), to: parsed("c@d.example"), subject: "x\r\nBcc: all@d.example", plain: "p", html: "h"}.text()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.send(context.Background(), "a@b.example", "c@d.example", text); err != nil {
		t.Fatal(err)
	}
	if list := post.got(); len(list) != 1 || list[0].header.Get("Bcc") != "" || !slices.Equal(post.signedIn, []string{"|desk|secret"}) {
		t.Errorf("got %+v, signed in %q", list, post.signedIn)
	}
}

func TestEveryLanguageHasEveryWord(t *testing.T) {
	english := allWords["en"]
	for language, w := range allWords {
		for name, pair := range map[string][2]map[string]string{
			"reasons": {english.Reasons, w.Reasons}, "states": {english.States, w.States}, "templates": {english.Templates, w.Templates},
		} {
			want, got := slices.Sorted(maps.Keys(pair[0])), slices.Sorted(maps.Keys(pair[1]))
			if !slices.Equal(want, got) {
				t.Errorf("%s of %s: %v; want %v", name, language, got, want)
			}
		}
		for _, text := range []string{w.Greeting, w.Site, w.Device, w.State, w.Foot, w.Time} {
			if text == "" {
				t.Errorf("%s lacks a word: %+v", language, w)
			}
		}
	}
	for _, s := range incidents.States {
		if english.States[string(s)] == "" || english.Templates[string(s)] == "" {
			t.Errorf("the state %s has no words", s)
		}
	}
	for _, r := range []incidents.Reason{incidents.YouAreOn, incidents.YouReported, incidents.YourSite} {
		if english.Reasons[string(r)] == "" {
			t.Errorf("the reason %s has no words", r)
		}
	}
}

func TestRunDeliversUntilItsContextEnds(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	o.subscribe(incidents.Webhook{URL: e.URL})
	o.report()
	o.worker.Poll = time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.worker.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); ; {
		e.mu.Lock()
		n := len(e.heard)
		e.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was delivered")
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBackOffGrowsAndSpreads(t *testing.T) {
	for attempt := 1; attempt < maxAttempts; attempt++ {
		if a, b := backOff(attempt, 1), backOff(attempt+1, 1); b < a || b > longestWait+longestWait/5 {
			t.Errorf("after attempt %d it waits %s, then %s", attempt, a, b)
		}
	}
	if backOff(3, 1) == backOff(3, 2) {
		t.Error(fmt.Sprint("all come back at once, after ", backOff(3, 1)))
	}
}

func TestTheMessageThatAsksForApprovalHoldsALinkThatIsNotTheSolvers(t *testing.T) {
	o := newOffice(t)
	o.worker.URL = "https://belfry.example"
	o.contact(incidents.Contact{Name: "rosa", Email: "rosa@rome.example", Language: "fr"})
	o.contact(incidents.Contact{Name: "anna", Email: "boss@rome.example", Language: "en"}) // the site's address is the solver's
	ref := o.report()
	o.move(ref, anna, incidents.Request{Transition: incidents.Take})
	o.move(ref, anna, incidents.Request{Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: "plugged in", Item: "rome"})
	o.pass(incidents.Gathering)
	links := map[string]string{}
	for _, m := range o.post.got() {
		for _, word := range strings.Fields(m.parts["text/plain"]) {
			if strings.HasPrefix(word, "https://belfry.example/answer/default/") {
				links[m.to] = word
			}
		}
	}
	if len(links) != 1 || links["rosa@rome.example"] == "" {
		t.Fatalf("got links %v", links)
	}
	secret := links["rosa@rome.example"][len("https://belfry.example/answer/default/"):]
	link, err := o.store.Link(context.Background(), secret)
	if err != nil || link.Name != "rosa" || link.Ref != ref || !link.Lives(o.now) {
		t.Errorf("got %+v, %v", link, err)
	}
}

func TestASlowReceiverHoldsNobodyElseUp(t *testing.T) {
	o, quick := newOffice(t), newEar(t)
	release := make(chan bool)
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	kinds := []incidents.Transition{incidents.Report}
	o.subscribe(incidents.Webhook{URL: slow.URL, Kinds: kinds})
	o.subscribe(incidents.Webhook{URL: quick.URL, Kinds: kinds})
	for range 5 {
		o.report()
	}
	done := make(chan error, 1)
	go func() { _, err := o.worker.Deliver(context.Background(), o.now); done <- err }()
	deadline := time.After(time.Minute)
	for heard := 0; heard < 5; {
		select {
		case <-deadline:
			t.Fatalf("the quick one heard %d of 5 while the other one sleeps", heard)
		case <-time.After(5 * time.Millisecond):
		}
		quick.mu.Lock()
		heard = len(quick.heard)
		quick.mu.Unlock()
	}
	for range 5 {
		release <- true
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWhatIsDoneWithIsForgottenInTime(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	hook := o.subscribe(incidents.Webhook{URL: e.URL, Kinds: []incidents.Transition{incidents.Report}})
	o.report()
	o.pass(0)
	e.answer = 500
	o.report()
	o.pass(0)
	if err := o.store.ForgetNotices(context.Background(), o.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if rows := o.notices(incidents.NoticeQuery{Webhook: hook.ID}); len(rows) != 1 || rows[0].Outcome != incidents.Waiting {
		t.Errorf("left are %+v; want the one that waits", rows)
	}
}
