package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// impatient calls a device lost three hours after it was last heard of: each sends once
// an hour, and nothing more once the test has begun.
const impatient = `rules:
  - name: lost
    scope: device
    when: silence() > 3h
    %s
    category: suspected_offline
    impact: device
    urgency: high
    summary: "{{ .device }} at {{ .site }} has been silent for {{ duration .value }}"
`

// TestTheFleetPageInABrowser signs in, looks at each page on a desk and on a
// phone, in light and dark, with the keyboard and as a screen reader hears it, and
// sees an incident appear by itself. BELFRY_TEST_PICTURES keeps the pictures.
func TestTheFleetPageInABrowser(t *testing.T) {
	haveBrowser(t)
	data, simulated := t.TempDir(), t.TempDir()
	p := serve(t, data, "BELFRY_ANALYZER_RULES="+writeText(t, "idle.yaml", fmt.Sprintf(impatient, "at: midnight+1m")))
	mustCommand(t, "simulate", simulated, "--devices", "30", "--days", "36", "--every", "1h")
	mustCommand(t, "--data", data, "devices", "import", filepath.Join(simulated, "registry.yaml"))
	mustCommand(t, "--data", data, "replay", filepath.Join(simulated, "readings.ndjson"), "--speed", "max")
	p.stop() // judged while it comes in, the whole fleet would be silent
	p = serve(t, data, "BELFRY_ANALYZER_RULES="+writeText(t, "rules.yaml", fmt.Sprintf(impatient, "every: 1s")))
	p.handleAnIncident("FC-10001")
	var lost map[string]any
	p.await(60*time.Second, "the incident of a silent device", func() bool {
		list := p.list("/api/v1/incidents?rule=lost&condition=firing&site=mall-paris&q=FC-")
		if len(list) == 1 { // the others were only taken to be silent, before the first reading was in
			lost = list[0]
		}
		return len(list) == 1
	})
	site, device, ref := lost["site"].(string), lost["device"].(string), lost["ref"].(string)

	b := &visitor{t: t, ctx: openBrowser(t), base: p.api}
	b.listens()
	b.signIn(p.token)
	pages := map[string]string{"fleet": "/", "site": "/sites/" + url.PathEscape(site), "device": "/devices/FC-10001",
		"silent": "/devices/" + url.PathEscape(device), "incidents": "/incidents", "incident": "/incidents/" + ref}
	for name, path := range pages {
		b.open(path)
		b.hears(name)
		b.looks(name)
	}
	b.open("/")
	b.usesTheKeyboard()
	b.seesWhatHappens(p)
	for _, name := range []string{"device", "incident"} {
		b.open(pages[name])
		if got := look(b, chromedp.TextContent(chromedp.CSS("main"))); !strings.Contains(got, "what is usual") {
			t.Errorf("the %s has no picture: %s", name, got)
		}
		if got := look(b, chromedp.TextContent(chromedp.CSS("main"))); name == "device" && !(strings.Contains(got, "firmware 5.") && strings.Contains(got, " °C") && strings.Contains(got, " dBm")) {
			t.Errorf("the device does not say how it is: %s", got)
		}
	}
	b.signsOut()
	p.stop()
}

// haveBrowser returns where Chromium is, or skips.
func haveBrowser(t *testing.T) (path string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed; make setup-tests brings it")
	}
	return path
}

// openBrowser starts a headless Chromium for four minutes, or skips.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	path := haveBrowser(t)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx); closeTab() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	limited, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	return limited
}

// visitor is somebody at the browser.
type visitor struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu     sync.Mutex
	faults []string // what the browser complains of
}

func (b *visitor) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// look runs a step that answers something.
func look[T any](b *visitor, step chromedp.Action[T]) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, step)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

// call gives a command of the protocol.
func call[P, R any](b *visitor, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	return look(b, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

func (b *visitor) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// at returns which of belfry's pages is open.
func (b *visitor) at() string {
	b.t.Helper()
	return strings.TrimPrefix(look(b, chromedp.Location()), b.base)
}

// listens notes what the browser complains of.
func (b *visitor) listens() {
	b.t.Helper()
	err := chromedp.Listen(b.ctx, func(event any) {
		fault := ""
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			fault = e.ExceptionDetails.Text
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError {
				fault = fmt.Sprint(e.Args)
			}
		}
		if fault != "" {
			b.mu.Lock()
			b.faults = append(b.faults, fault)
			b.mu.Unlock()
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// signIn tries a wrong token, and then the right one.
func (b *visitor) signIn(token string) {
	b.do(chromedp.Navigate(b.base+"/incidents"), chromedp.WaitVisible(chromedp.CSS("[name=token]")))
	if at := b.at(); at != "/signin?next=%2Fincidents" {
		b.t.Errorf("without a session: at %s, want the form", at)
	}
	b.looks("sign-in")
	b.do(chromedp.SendKeys(chromedp.CSS("[name=token]"), "bf_wrong_wrong"+kb.Enter), chromedp.WaitVisible(chromedp.CSS("[role=alert]")))
	b.do(chromedp.SendKeys(chromedp.CSS("[name=token]"), token+kb.Enter), chromedp.WaitVisible(chromedp.CSS("nav")))
	if at := b.at(); at != "/incidents" {
		b.t.Errorf("signed in: at %s, want the page that was asked for", at)
	}
	if cookies := look(b, chromedp.Evaluate[string]("document.cookie")); cookies != "" {
		b.t.Errorf("a script can read the cookie: %s", cookies)
	}
}

// looks takes pictures at two widths in light and dark, and holds that nothing
// goes beyond the screen and that text stands out from what is behind it.
func (b *visitor) looks(name string) {
	dir := os.Getenv("BELFRY_TEST_PICTURES")
	for _, width := range []int64{1280, 390} {
		for _, scheme := range []string{"light", "dark"} {
			call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 844, DeviceScaleFactor: 1, Mobile: width < 500})
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			if look(b, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > innerWidth")) {
				b.t.Errorf("%s at %d pixels: goes beyond the screen", name, width)
			}
			if faint := look(b, chromedp.Evaluate[[]string](faintText)); len(faint) > 0 {
				b.t.Errorf("%s in %s: hardly to be read: %v", name, scheme, faint)
			}
			if dir == "" {
				continue
			}
			file := filepath.Join(dir, fmt.Sprintf("page-%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, look(b, chromedp.FullScreenshot(100)), 0o600); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// faintText lists texts whose contrast is under 4.5, as WCAG computes it.
const faintText = `(() => {
  const rgb = (c) => (c.match(/[\d.]+/g) || []).map(Number);
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  const out = new Set();
  for (const e of document.querySelectorAll("main *, header *, footer *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility() || e.closest("meter")) continue;
    const svg = e.closest("svg"), style = getComputedStyle(e);
    const a = light(rgb(svg ? style.fill : style.color).slice(0, 3)), b = light(ground(svg || e));
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) out.add(e.textContent.trim().slice(0, 40) + " " + contrast.toFixed(1));
  }
  return [...out];
})()`

// named are the roles that a screen reader must be told a name of.
var named = []string{"link", "button", "textbox", "searchbox", "combobox", "image", "img", "navigation", "table", "meter", "search", "region", "DisclosureTriangle"}

// hears walks through the page as a screen reader does.
func (b *visitor) hears(name string) {
	said, level := map[string]int{}, 0
	for _, n := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored {
			continue
		}
		role := plainValue(n.Role)
		said[role]++
		if slices.Contains(named, role) && strings.TrimSpace(plainValue(n.Name)) == "" && role != "search" {
			b.t.Errorf("%s: a %s has no name", name, role)
		}
		if role == "heading" {
			level = b.heading(name, n, level)
		}
	}
	if said["main"] != 1 || said["heading"] == 0 || said["contentinfo"] != 1 || said["banner"] != 1 {
		b.t.Errorf("%s: want one main, banner and contentinfo, and headings; got %v", name, said)
	}
}

// heading holds that headings follow one another without leaving a level out.
func (b *visitor) heading(page string, n *accessibility.Node, before int) int {
	level := before
	for _, p := range n.Properties {
		if p.Name == accessibility.PropertyNameLevel {
			_ = json.Unmarshal(p.Value.Value, &level)
		}
	}
	if level > before+1 || before > 0 && level == 1 {
		b.t.Errorf("%s: heading %q of level %d follows level %d", page, plainValue(n.Name), level, before)
	}
	return level
}

func plainValue(v *accessibility.Value) (text string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &text)
	}
	return text
}

// usesTheKeyboard goes from the skip link to the content, and sees at each step
// where it is.
func (b *visitor) usesTheKeyboard() {
	const where = `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
		return { text: e.textContent.trim() || e.id, seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2, there: r.width > 0 && r.left >= 0 && r.top >= 0 }; })()`
	type place struct {
		Text        string
		Seen, There bool
	}
	b.do(chromedp.KeyEvent(kb.Tab))
	if first := look(b, chromedp.Evaluate[place](where)); first.Text != "Skip to the content" || !first.Seen || !first.There {
		b.t.Errorf("the first stop is %+v, want a skip link that shows", first)
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	if at := look(b, chromedp.Evaluate[string]("document.activeElement.id")); at != "main" {
		b.t.Errorf("skipped to %q, want main", at)
	}
	for range look(b, chromedp.Evaluate[int](`document.querySelectorAll("main a, main input, main button, main select, main summary").length`)) {
		b.do(chromedp.KeyEvent(kb.Tab))
		if stop := look(b, chromedp.Evaluate[place](where)); !stop.Seen {
			b.t.Errorf("the focus does not show on %q", stop.Text)
		}
	}
}

// seesWhatHappens reports an incident and waits until the open page shows it, by
// its own events.
func (b *visitor) seesWhatHappens(p *program) {
	b.do(chromedp.WaitVisible(chromedp.CSS("#following")))
	var made struct{ Ref string }
	p.must(http.StatusCreated, "POST", "/api/v1/incidents", fmt.Sprintf(`{"summary":"a ladder stands in the view","site":"%s"}`, p.list("/api/v1/sites")[0]["id"]), &made)
	look(b, chromedp.Poll[bool](`document.querySelector("#open").textContent.includes("a ladder stands in the view")`, chromedp.WithPollingTimeout(time.Minute)))
	if got := look(b, chromedp.TextContent(chromedp.CSS("#news"))); !strings.Contains(got, made.Ref) {
		b.t.Errorf("a screen reader is told %q, want the new incident", got)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		b.t.Errorf("the browser complains: %v", b.faults)
	}
}

// signsOut leaves, and is not let in again.
func (b *visitor) signsOut() {
	b.do(chromedp.Click(chromedp.CSS(".out button")), chromedp.WaitVisible(chromedp.CSS("[name=token]")),
		chromedp.Navigate(b.base+"/"), chromedp.WaitVisible(chromedp.CSS("[name=token]")))
	if at := b.at(); !strings.HasPrefix(at, "/signin") {
		b.t.Errorf("signed out: at %s, want the form", at)
	}
}
