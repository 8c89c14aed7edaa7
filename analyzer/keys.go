package analyzer

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"belfry/telemetry"
)

// ruleKey is a row of the table of keys of a rule.
type ruleKey struct {
	name     string
	required bool
	about    string
	read     func(d *draft, e entry)
}

// draft is a rule while it is read.
type draft struct {
	*loader
	rule  *Rule
	at    map[string]entry // by key
	exprs map[string]string
}

// ruleKeys is the table of keys, in the order of the reference. It is filled in
// init because its readers look at it.
var ruleKeys []ruleKey

func init() {
	ruleKeys = []ruleKey{
		{"name", true, "identifies the rule: small letters, digits and hyphens", (*draft).readName},
		{"about", false, "what the rule finds, and what to look at first, for the helpdesk", func(d *draft, e entry) { d.rule.About, _ = d.text(e) }},
		{"scope", true, "what the rule is about: device, site, group(LABEL) or tenant", (*draft).readScope},
		{"where", false, "which scopes: registry fields and labels", func(d *draft, e entry) {}}, // read once the scope is known
		{"peers", false, "what outlier(), peers() and zpeers() hold a device against: the devices of its site (site), or those with the same value of a label, on themselves or on their site (group(LABEL))", (*draft).readPeers},
		{"query", false, "SQL (ClickHouse) for what no signal covers: columns `scope` and `value`, a row for each scope; `when` looks at it as `value()`", (*draft).readQuery},
		{"when", true, "the condition", (*draft).readExpr},
		{"recover", false, "what must hold besides `when` being false before the rule recovers", (*draft).readExpr},
		{"unless", false, "when this holds, nothing is known", (*draft).readExpr},
		{"on_missing", false, "without data: keep, unknown, fire or resolve", oneOf("keep", []string{"keep", "unknown", "fire", "resolve"}, func(r *Rule, v string) { r.OnMissing = OnMissing(v) })},
		{"yields_to", false, "rules that explain this one: while one of them holds for the scope, for what contains it or for a part of it, this one is unknown; a name that no rule has is left alone", (*draft).readYields},
		{"learned", false, "whether baselines learn from what a device counts while the rule fires for it: no or yes; after eight weeks they do anyway", oneOf("no", []string{"no", "yes"}, func(r *Rule, v string) { r.Learned = v == "yes" })},
		{"every", false, "how often the rule is evaluated", (*draft).readEvery},
		{"at", false, "when on each local day: close+60m or midnight+30m", (*draft).readAt},
		{"for", false, "how long `when` must hold, in event time", duration(0, func(r *Rule, v time.Duration) { r.For = v })},
		{"keep_firing_for", false, "how long recovery must hold, in event time", duration(0, func(r *Rule, v time.Duration) { r.KeepFiringFor = v })},
		{"category", true, "category of the incidents", (*draft).readCategory},
		{"cap", false, "how many findings may be out at once; above it one finding stands for those that come after, with their number and their list", (*draft).readCap},
		{"impact", false, "device, site or client", oneOf("device", []string{"device", "site", "client"}, func(r *Rule, v string) { r.Impact = v })},
		{"urgency", false, "high, medium or low", oneOf("medium", []string{"high", "medium", "low"}, func(r *Rule, v string) { r.Urgency = v })},
		{"renotify", false, "how often a notice may repeat", duration(time.Minute, func(r *Rule, v time.Duration) { r.Renotify = v })},
		{"summary", false, "one sentence for the helpdesk, as a template", (*draft).readSummary},
		{"params", false, "named numbers for the expressions", func(d *draft, e entry) { d.rule.Params = d.params(e) }},
		{"override", false, "other values of params where a filter matches", func(d *draft, e entry) {}}, // read once params are known
	}
}

func keyNames() []string {
	names := make([]string, len(ruleKeys))
	for i, k := range ruleKeys {
		names[i] = k.name
	}
	return names
}

// rule reads one rule and appends it when nothing is wrong with it.
func (l *loader) rule(n ast.Node) {
	before := len(l.faults)
	d := &draft{loader: l, at: map[string]entry{}, exprs: map[string]string{}, rule: &Rule{
		OnMissing: MissingKeep, Urgency: "medium", Scope: telemetry.LevelDevice, File: l.src.name}}
	d.rule.Line, _ = l.src.position(tokenOf(n))
	entries := l.mapping(n, "a rule")
	if entries == nil {
		return
	}
	for _, e := range entries {
		d.at[e.key] = e
	}
	for _, e := range entries {
		if _, ok := findKey(e.key); !ok {
			l.fault(e.at, fmt.Sprintf("unknown key %q", e.key), wantOneOf(e.key, keyNames()))
		}
	}
	for _, k := range ruleKeys { // in the table's order, so that a reader may rely on what stands before it
		e, ok := d.at[k.name]
		if ok {
			k.read(d, e)
		} else if k.required {
			l.fault(n, fmt.Sprintf("the rule has no %s", k.name), fmt.Sprintf("want %s: %s", k.name, k.about))
		}
	}
	d.finish(n)
	if len(l.faults) == before {
		d.rule.Hash = d.rule.hash()
		l.rules = append(l.rules, d.rule)
	}
}

func findKey(name string) (ruleKey, bool) {
	for _, k := range ruleKeys {
		if k.name == name {
			return k, true
		}
	}
	return ruleKey{}, false
}

// finish reads and checks what needs the whole rule.
func (d *draft) finish(n ast.Node) {
	if e, ok := d.at["where"]; ok {
		d.rule.Where = d.filter(e, d.rule.Scope)
	}
	if e, ok := d.at["override"]; ok {
		d.overrides(e)
	}
	_, every := d.at["every"]
	at, daily := d.at["at"]
	switch {
	case every == daily:
		d.fault(n, "a rule has every or at, one of them", "want every: 5m, or at: close+60m")
	case daily && d.rule.Scope != telemetry.LevelDevice && d.rule.Scope != telemetry.LevelSite:
		d.fault(at.value, fmt.Sprintf("a %s has no local day", d.rule.Scope), "want every, or scope: device or site")
	}
	if d.rule.Impact == "" {
		d.rule.Impact = map[telemetry.Level]string{telemetry.LevelDevice: "device", telemetry.LevelSite: "site"}[d.rule.Scope]
		if d.rule.Impact == "" {
			d.rule.Impact = "client"
		}
	}
	d.checkExprs()
}

func (d *draft) readName(e entry) {
	name, ok := d.text(e)
	if !ok {
		return
	}
	if !isIdentifier(name, "-") {
		d.fault(e.value, fmt.Sprintf("%q is not a rule's name", name), "want 1 to 64 small letters, digits and hyphens, such as suspected-offline")
		return
	}
	if name == RuleHealth {
		d.fault(e.value, fmt.Sprintf("%q is the rule about rules themselves", name), "want another name")
		return
	}
	if where, taken := d.names[name]; taken {
		d.fault(e.value, fmt.Sprintf("a rule named %q stands already at %s", name, where), "want another name")
		return
	}
	line, col := d.src.position(tokenOf(e.value))
	d.names[name] = fmt.Sprintf("%s:%d:%d", d.src.name, line, col)
	d.rule.Name = name
}

// isIdentifier reports whether the text is 1 to 64 small letters, digits and
// the characters in more, and starts with a letter.
func isIdentifier(s, more string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && !strings.ContainsRune(more, c)) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func (d *draft) readCap(e entry) {
	text, _ := d.text(e)
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1_000_000 {
		d.fault(e.value, fmt.Sprintf("cap: %q is not a number of findings", text), "want a whole number from 1 to 1000000")
		return
	}
	if d.rule.Cap = n; d.rule.Scope == telemetry.LevelTenant {
		d.fault(e.value, "the rule has one scope, the tenant", "want a cap on a rule about devices, sites or groups")
	}
}

func (d *draft) readCategory(e entry) {
	text, ok := d.text(e)
	if ok && !isIdentifier(text, "_/-") {
		d.fault(e.value, fmt.Sprintf("%q is not a category", text), "want small letters, digits, _ and /, such as suspected_offline")
	}
	d.rule.Category = text
}

func (d *draft) readScope(e entry) {
	text, ok := d.text(e)
	if !ok {
		return
	}
	switch level := telemetry.Level(text); level {
	case telemetry.LevelDevice, telemetry.LevelSite, telemetry.LevelTenant:
		d.rule.Scope = level
		return
	}
	if label := groupLabel(text); label != "" {
		d.rule.Scope, d.rule.Group = telemetry.LevelGroup, label
		return
	}
	d.fault(e.value, fmt.Sprintf("no scope %q", text), wantOneOf(text, []string{"device", "site", "group(LABEL)", "tenant"}))
}

// groupLabel returns the label of group(LABEL), or "".
func groupLabel(text string) string {
	if label, ok := strings.CutPrefix(text, "group("); ok && strings.HasSuffix(label, ")") {
		return strings.TrimSuffix(label, ")")
	}
	return ""
}

func (d *draft) readPeers(e entry) {
	text, ok := d.text(e)
	if d.rule.Peers = groupLabel(text); ok && text != "site" && d.rule.Peers == "" {
		d.fault(e.value, fmt.Sprintf("peers: no %q", text), wantOneOf(text, []string{"site", "group(LABEL)"}))
	}
}

func (d *draft) readYields(e entry) {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		d.fault(e.value, "yields_to is not a list", "want [RULE, ...]")
		return
	}
	for _, item := range list.Values {
		name, ok := d.text(entry{e.key, e.at, item})
		switch {
		case !ok:
		case !isIdentifier(name, "-"):
			d.fault(item, fmt.Sprintf("%q is not a rule's name", name), "want the name of a rule, such as feed-outage")
		case name == d.rule.Name:
			d.fault(item, "a rule can't yield to itself", "want another rule")
		default:
			d.rule.YieldsTo = append(d.rule.YieldsTo, name)
		}
	}
}

func (d *draft) readEvery(e entry) {
	duration(time.Second, func(r *Rule, v time.Duration) { r.Schedule.Every = v })(d, e)
}

func (d *draft) readAt(e entry) {
	text, ok := d.text(e)
	if !ok {
		return
	}
	s, err := parseAt(text)
	if err != nil {
		d.fault(e.value, fmt.Sprintf("%q is not an instant of the day", text), "want close, midnight, or one of them with a duration of at most 24h behind it, such as close+60m")
		return
	}
	d.rule.Schedule = s
}

// duration reads a duration of at least least.
func duration(least time.Duration, set func(*Rule, time.Duration)) func(*draft, entry) {
	return func(d *draft, e entry) {
		text, ok := d.text(e)
		if !ok {
			return
		}
		v, err := parseDuration(text)
		if err != nil && text == "0" {
			err = nil
		}
		if err != nil || v < least || v > maxWindow {
			d.fault(e.value, fmt.Sprintf("%s: %q is not a duration that fits", e.key, text), fmt.Sprintf("want a number with s, m, h, d or w, from %s to 400d", formatSeconds(least.Seconds())))
			return
		}
		set(d.rule, v)
	}
}

// oneOf reads one of a few words; missing is what an empty value means.
func oneOf(missing string, words []string, set func(*Rule, string)) func(*draft, entry) {
	return func(d *draft, e entry) {
		text, ok := d.text(e)
		if !ok {
			return
		}
		if text == "" {
			text = missing
		}
		for _, w := range words {
			if w == text {
				set(d.rule, text)
				return
			}
		}
		d.fault(e.value, fmt.Sprintf("%s: no %q", e.key, text), wantOneOf(text, words))
	}
}

func (d *draft) readSummary(e entry) {
	text, ok := d.text(e)
	if !ok {
		return
	}
	t, err := parseSummary(text)
	if err != nil {
		d.fault(e.value, "the summary's template does not work: "+err.Error(),
			"want {{ .device }}, .site, .value, .threshold, .since or .scope, and the functions duration, percent, number")
		return
	}
	d.rule.Summary, d.rule.summary = text, t
}
