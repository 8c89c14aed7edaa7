package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
)

func (a *app) listRules(ctx context.Context, _ *struct{}) (*listOut[Rule], error) {
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
	return listed(rules, ""), nil
}

type rulePath struct {
	Name string `path:"name" maxLength:"512"`
}

type ruleOut struct {
	ETag string `header:"ETag"`
	Body Rule
}

func (a *app) getRule(ctx context.Context, in *rulePath) (*ruleOut, error) {
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
	if a.Backtest == nil {
		return nil, notHere("backtests")
	}
	if !in.Body.To.After(in.Body.From) {
		return nil, oneFault("to", "is not after from")
	}
	report, err := a.Backtest(ctx, in.Body)
	return &backtestOut{report}, ruleProblem(err)
}

// ruleProblem makes a problem document of rules that can't run, with every fault.
func ruleProblem(err error) error {
	var faulty FaultyRules
	if !errors.As(err, &faulty) {
		return err
	}
	p := newProblem("invalid", "the rules have %d faults", len(faulty))
	p.Files = faulty
	return p
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
	out, err := a.ExplainRules(ctx, in.Body)
	return &explainOut{out}, ruleProblem(err)
}
