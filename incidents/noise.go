package incidents

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"belfry/telemetry"
)

// What holds findings back. Each is a value of the label by of
// belfry_incidents_suppressed_total.
const (
	bySilence     = "silence"
	byMaintenance = "maintenance"
	byClosedSite  = "closed_site"
	byFlapping    = "flapping"
	byRollUp      = "roll_up"
	byStorm       = "storm"
	byExplained   = "explained"

	byCandidate = "candidate" // for moments, and so not counted
)

var suppressors = []string{bySilence, byMaintenance, byClosedSite, byFlapping, byRollUp, byStorm, byExplained}

// Held says why an incident is recorded and nobody is troubled with it: there are
// no clocks and no notices. What still fires when that ends begins then. The zero
// Held is that of an incident that is not held back.
type Held struct {
	By    string    `json:"by"`
	Why   string    `json:"why"` // "held back because ..." goes before it
	Until time.Time `json:"until,omitzero"`
}

// Silence holds back what matches it. It hangs on what the findings are about, and
// so outlives their incidents. What it matches can't be changed once it is made.
type Silence struct {
	ID       string    `json:"id,omitempty" maxLength:"128"`
	Rule     string    `json:"rule,omitempty" maxLength:"128" doc:"Of this rule; of any when left out"`
	Category string    `json:"category,omitempty" maxLength:"128" doc:"Of this category; of any when left out"`
	Site     string    `json:"site,omitempty" maxLength:"128" doc:"At this site; at any when left out"`
	Device   string    `json:"device,omitempty" maxLength:"128" doc:"Of this device; of any when left out"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to" doc:"The only thing that can be changed later"`
	Reason   string    `json:"reason" minLength:"1" maxLength:"20000"`
	Author   string    `json:"author,omitempty" readOnly:"true" doc:"Who made it"`
}

// Check returns what is wrong with the silence.
func (s *Silence) Check() error {
	var f faults
	f.name("id", s.ID)
	if s.Rule+s.Category+s.Site+s.Device == "" {
		f.add("rule", "is missing, and so are category, site and device; a silence for everything would be deafness")
	}
	f.window(s.From, s.To, s.Reason)
	return f.err()
}

func (f *faults) window(from, to time.Time, reason string) {
	if from.IsZero() {
		f.add("from", "is missing")
	}
	if !to.After(from) {
		f.add("to", "is missing or not after from")
	}
	f.reason(reason)
}

func (s *Silence) matches(f *telemetry.Finding) bool {
	device := f.Scope.Level == telemetry.LevelDevice && f.Scope.Name == s.Device
	return (s.Rule == "" || s.Rule == f.Rule) && (s.Category == "" || s.Category == f.Category) &&
		(s.Site == "" || s.Site == f.Site) && (s.Device == "" || device) && within(f.At, s.From, s.To)
}

func within(at, from, to time.Time) bool { return !at.Before(from) && at.Before(to) }

// Window is a time of planned work at some sites, or at all.
type Window struct {
	ID     string    `json:"id,omitempty" maxLength:"128"`
	Sites  []string  `json:"sites,omitempty" maxItems:"10000" doc:"Where; everywhere when left out"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Reason string    `json:"reason" minLength:"1" maxLength:"20000"`
}

// Check returns what is wrong with the window.
func (w *Window) Check() error {
	var f faults
	f.name("id", w.ID)
	f.window(w.From, w.To, w.Reason)
	return f.err()
}

// immutable keeps what a silence matches: people rely on what it said.
func immutable(all []Document, doc Document) error {
	old, err := pick(current(SilenceDocument, all), doc.ID)
	if err != nil {
		return nil // it is new
	}
	var was, is Silence
	if err := json.Unmarshal(old.Data, &was); err != nil {
		return fmt.Errorf("read silence %s: %w", doc.ID, err)
	}
	if err := json.Unmarshal(doc.Data, &is); err != nil {
		return fmt.Errorf("read silence %s: %w", doc.ID, err)
	}
	was.To, was.Author, is.Author = is.To, "", ""
	if was.From.Equal(is.From) {
		was.From = is.From
	}
	if was != is {
		return &InvalidError{[]Fault{{"silence", "only its end can be changed; make another one"}}}
	}
	return nil
}

func (b *Book) addNoise(documents []Document) error {
	for _, d := range current(SilenceDocument, documents) {
		s := &Silence{}
		if err := json.Unmarshal(d.Data, s); err != nil {
			return fmt.Errorf("read silence %s: %w", d.ID, err)
		}
		b.silences = append(b.silences, s)
	}
	for _, d := range current(WindowDocument, documents) {
		w := &Window{}
		if err := json.Unmarshal(d.Data, w); err != nil {
			return fmt.Errorf("read window %s: %w", d.ID, err)
		}
		b.windows = append(b.windows, w)
	}
	return nil
}

// noise is what tells what is worth attention from what is not.
type noise struct {
	book   *Book
	closed map[string]telemetry.SiteStatus
}

// askAgain is how often a closed site is looked at: it does not say for how long.
const askAgain = 24 * time.Hour

// hold returns what holds a finding back; the zero Held when nothing does.
func (n *noise) hold(f *telemetry.Finding) Held {
	for _, s := range n.book.silences {
		if s.matches(f) {
			return Held{bySilence, fmt.Sprintf("of the silence %s: %s", s.ID, s.Reason), s.To}
		}
	}
	for _, w := range n.book.windows {
		if within(f.At, w.From, w.To) && (len(w.Sites) == 0 || slices.Contains(w.Sites, f.Site)) {
			return Held{byMaintenance, fmt.Sprintf("of the maintenance %s: %s", w.ID, w.Reason), w.To}
		}
	}
	if status := n.closed[f.Site]; status != "" {
		return Held{byClosedSite, fmt.Sprintf("the site is in the state %s", status), millis(f.At.Add(askAgain))}
	}
	return Held{}
}

// holds is hold for an incident under way, with the count. What somebody works on
// is no longer held back.
func (in *intake) holds(inc *Incident, f *telemetry.Finding) Held {
	if inc.Flapping {
		in.held[byFlapping]++
	}
	if inc.Touched {
		return Held{}
	}
	held := in.hold(f)
	if parent := in.parents[placeOf(f)]; parent != "" {
		held = Held{By: byRollUp, Why: parent + " stands for the devices of the site"}
	}
	if held.By != "" {
		in.held[held.By]++
	}
	return held
}

// still returns the request for an incident whose time of being held is over: let
// it go, unless something else holds it.
func (n *noise) still(inc *Incident, release Request, at time.Time) Request {
	f := &telemetry.Finding{Rule: inc.Rule, Category: inc.Category, Scope: inc.Scope, Site: inc.Site, At: at}
	if held := n.hold(f); held.By != "" && !inc.Touched {
		return Request{Transition: HoldBack, Version: release.Version, held: held}
	}
	return release
}

func (c *change) holdBack() { c.inc.Held = c.req.held }

func (c *change) letGo() { c.inc.Held = Held{} }

// When an incident flaps: so many changes within so long; and when no longer.
const (
	flapsAt     = 6
	flapsWithin = 24 * time.Hour
	calmAfter   = 12 * time.Hour
	digestEvery = 24 * time.Hour
)

// flip notes that the condition changes between firing and clear. Losing sight of
// it is no change.
func (inc *Incident) flip(f *telemetry.Finding) {
	if inc.Condition == "" || f.Condition == telemetry.Unknown || inc.Condition == telemetry.Unknown {
		return
	}
	at := later(millis(f.At), inc.UpdatedAt)
	var kept []time.Time
	for _, t := range inc.Flips {
		if at.Sub(t) < flapsWithin {
			kept = append(kept, t)
		}
	}
	kept = append(kept, at)
	inc.Flips = kept[max(0, len(kept)-flapsAt):]
	if !inc.Flapping && len(inc.Flips) == flapsAt {
		inc.Flapping, inc.Digest = true, Digest{Due: at.Add(digestEvery), Fired: inc.Occurrences + one(f.Condition == telemetry.Firing)}
	}
}

// calm ends the flapping with a digest.
func (c *change) calm() {
	c.req.Text = fmt.Sprintf("calm for %d hours; it has fired %d times in all", int(calmAfter.Hours()), c.inc.Occurrences)
	c.inc.Flapping, c.inc.Flips, c.inc.Digest = false, nil, Digest{}
}

// summarise tells of what flaps what has come together since it was last told of.
func (c *change) summarise() {
	d := &c.inc.Digest
	c.req.Text = fmt.Sprintf("it still comes and goes: it has fired %d times since the last notice, and %d times in all", c.inc.Occurrences-d.Fired, c.inc.Occurrences)
	*d = Digest{Due: c.at.Add(digestEvery), Fired: c.inc.Occurrences}
}
