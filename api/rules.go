package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"belfry/incidents"
)

type rulesOut struct {
	Body struct {
		Items []Rule      `json:"items"`
		Later []LaterRule `json:"later,omitempty" doc:"Rules that will run by themselves, unless somebody writes or drops them before"`
	}
}

func (a *app) listRules(ctx context.Context, _ *struct{}) (*rulesOut, error) {
	if a.Rules == nil {
		return nil, notHere("rules")
	}
	rules, err := a.Rules(ctx)
	if err != nil {
		return nil, err
	}
	if rules, err = a.judge(ctx, rules); err != nil {
		return nil, err
	}
	out := &rulesOut{}
	if out.Body.Items = rules; a.LaterRules != nil {
		out.Body.Later, err = a.LaterRules(ctx, a.Now())
	}
	return out, err
}

// RulePath is where a rule is.
type RulePath struct {
	Name string `path:"name" maxLength:"512"`
}

type ruleOut struct {
	ETag string `header:"ETag"`
	Body Rule
}

func (a *app) getRule(ctx context.Context, in *RulePath) (*ruleOut, error) {
	if a.Rules == nil {
		return nil, notHere("rules")
	}
	rules, err := a.Rules(ctx)
	if err != nil {
		return nil, err
	}
	name := unescaped(in.Name)
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return nil, notFound("rule", name)
	}
	return &ruleOut{`"` + rules[i].Hash + `"`, rules[i]}, nil
}

type checkIn struct {
	Body struct {
		Files []RuleFile `json:"files" minItems:"1" maxItems:"100"`
	}
}

type checkOut struct {
	Body struct {
		OK     bool        `json:"ok"`
		Faults []FileFault `json:"faults"`
	}
}

// checkRules answers 200 also for faulty rules: to find the faults is what was
// asked for.
func (a *app) checkRules(ctx context.Context, in *checkIn) (*checkOut, error) {
	if a.CheckRules == nil {
		return nil, notHere("rules")
	}
	faults, err := a.CheckRules(ctx, in.Body.Files)
	out := &checkOut{}
	out.Body.OK, out.Body.Faults = len(faults) == 0, append([]FileFault{}, faults...)
	return out, err
}

type backtestIn struct{ Body BacktestQuery }

type backtestOut struct{ Body json.RawMessage }

func (a *app) backtest(ctx context.Context, in *backtestIn) (*backtestOut, error) {
	out, err := a.runBacktest(ctx, in.Body)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, oneFault("rule", "there is no such rule")
	}
	return out, err
}

func (a *app) runBacktest(ctx context.Context, q BacktestQuery) (*backtestOut, error) {
	if a.Backtest == nil {
		return nil, notHere("backtests")
	}
	if !q.To.After(q.From) {
		return nil, oneFault("to", "is not after from")
	}
	q.SQL = mayWriteSQL(ctx)
	report, err := a.Backtest(ctx, q)
	return &backtestOut{report}, ruleProblem(err)
}

// ruleProblem makes a problem document of rules that can't run, with every fault.
func ruleProblem(err error) error {
	var faulty FaultyRules
	if !errors.As(err, &faulty) {
		return err
	}
	p := newProblem("invalid", "the rules have %s", faultsOf(len(faulty)))
	p.Files = faulty
	return p
}

// mayWriteSQL reports whether rules with queries in SQL, which read all that the tenant
// has, are taken from whoever asks.
func mayWriteSQL(ctx context.Context) bool {
	actor := actorOf(ctx)
	return actor.Role == incidents.Admin && actor.Site == ""
}

type explainIn struct{ Body ExplainQuery }

type explainOut struct{ Body json.RawMessage }

func (a *app) explainRules(ctx context.Context, in *explainIn) (*explainOut, error) {
	if a.ExplainRules == nil {
		return nil, notHere("explanations")
	}
	if in.Body.At.IsZero() {
		in.Body.At = a.Now()
	}
	in.Body.SQL = mayWriteSQL(ctx)
	out, err := a.ExplainRules(ctx, in.Body)
	return &explainOut{out}, ruleProblem(err)
}

type putRuleIn struct {
	RulePath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag of the rule that runs; not needed for a new one"`
	Body    struct {
		Text string `json:"text" maxLength:"500000" doc:"A rule file (YAML) with this one rule"`
	}
}

func (a *app) putRule(ctx context.Context, in *putRuleIn) (*ruleOut, error) {
	return a.changeRule(ctx, RuleChange{Name: unescaped(in.Name), Text: in.Body.Text}, in.IfMatch)
}

type deleteRuleIn struct {
	RulePath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag of the rule that runs"`
}

func (a *app) deleteRule(ctx context.Context, in *deleteRuleIn) (*struct{}, error) {
	_, err := a.changeRule(ctx, RuleChange{Name: unescaped(in.Name), Drop: true}, in.IfMatch)
	return nil, err
}

func (a *app) changeRule(ctx context.Context, c RuleChange, match string) (*ruleOut, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	if a.PutRule == nil {
		return nil, notHere("rules")
	}
	c.Match, c.Actor, c.At, c.SQL = strings.Trim(match, `"`), actorOf(ctx).Name, a.Now(), mayWriteSQL(ctx)
	rule, err := a.PutRule(ctx, c)
	if errors.Is(err, ErrNoMatch) {
		return nil, newProblem("precondition-required", "If-Match is missing; want the ETag of the rule that runs")
	}
	return &ruleOut{`"` + rule.Hash + `"`, rule}, ruleProblem(err)
}

func (a *app) ruleHistory(ctx context.Context, in *RulePath) (*listOut[RuleVersion], error) {
	if a.RuleHistory == nil {
		return nil, notHere("rules")
	}
	list, err := a.RuleHistory(ctx, unescaped(in.Name))
	if err != nil {
		return nil, err
	}
	return listed(list, ""), nil
}

type backtestRuleIn struct {
	RulePath
	Body struct {
		Text string    `json:"text,omitempty" maxLength:"500000" doc:"The rule as it might be, as a rule file (YAML); as it runs when left out"`
		From time.Time `json:"from,omitzero" doc:"A week before the end when left out"`
		To   time.Time `json:"to,omitzero" doc:"Now when left out"`
	}
}

// backtestRule is the dry run: what the rule would have opened last week.
func (a *app) backtestRule(ctx context.Context, in *backtestRuleIn) (*backtestOut, error) {
	q := BacktestQuery{Rule: unescaped(in.Name), From: in.Body.From, To: in.Body.To, Findings: true}
	if q.To.IsZero() {
		q.To = a.Now().UTC()
	}
	if q.From.IsZero() {
		q.From = q.To.AddDate(0, 0, -7)
	}
	if in.Body.Text != "" {
		q.Files = []RuleFile{{Name: "api:" + q.Rule, Text: in.Body.Text}}
	}
	out, err := a.runBacktest(ctx, q)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("rule", q.Rule)
	}
	return out, err
}
