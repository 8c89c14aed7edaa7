package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"belfry/api"
	"belfry/incidents"
)

// moved are the incidents that a command changes.
type moved struct {
	Refs []string `arg:"" name:"ref" help:"Their references, such as INC-000123."`
	JSON bool     `help:"Print JSON."`
}

// move asks for a transition of each incident, and says what became of them.
func (m moved) move(ctx context.Context, t *terminal, ask api.TransitionBody) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	if len(m.Refs) == 1 {
		var now api.Incident
		if err := door.call(ctx, "POST", "/api/v1/incidents/"+url.PathEscape(m.Refs[0])+"/transitions", ask, &now); err != nil {
			return err
		}
		return t.printMoved(m.JSON, now)
	}
	bulk := struct {
		Refs []string `json:"refs"`
		api.TransitionBody
	}{m.Refs, ask}
	var page api.Page[api.BulkItem]
	if err := door.call(ctx, "POST", "/api/v1/incidents/bulk", bulk, &page); err != nil {
		return err
	}
	if m.JSON {
		return t.printJSON(page.Items)
	}
	return t.printBulk(page.Items)
}

func (t *terminal) printMoved(json bool, i api.Incident) error {
	if json {
		return t.printJSON(i)
	}
	_, err := fmt.Fprintf(t.out, "%s is %s, level %d, owner %s\n", i.Ref, i.State, i.Level, orDash(i.Assignee))
	return err
}

// printBulk says what became of each, and fails when any was refused.
func (t *terminal) printBulk(items []api.BulkItem) error {
	refused := 0
	for _, item := range items {
		if item.Incident != nil {
			if err := t.printMoved(false, *item.Incident); err != nil {
				return err
			}
			continue
		}
		refused++
		text := item.Problem.Detail
		for _, f := range item.Problem.Errors {
			text += "; " + strings.TrimSpace(f.Field+" "+f.Wrong)
		}
		fmt.Fprintf(t.out, "%s: refused: %s\n", item.Ref, text)
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d were refused", refused, len(items))
	}
	return nil
}

type incidentsTakeCommand struct {
	moved `embed:""`
}

// Run takes incidents.
func (c *incidentsTakeCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Take})
}

type incidentsAssignCommand struct {
	To    string `required:"" help:"Who is to do it." placeholder:"NAME"`
	moved `embed:""`
}

// Run assigns incidents.
func (c *incidentsAssignCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Assign, Assignee: c.To})
}

type incidentsQualifyCommand struct {
	Kind     string `help:"incident, service_request, reminder, question or other."`
	Category string `help:"What it is about."`
	Impact   string `help:"client, site or device."`
	Urgency  string `help:"high, medium or low."`
	Into     string `help:"With --kind reminder: the incident that it reminds of." placeholder:"REF"`
	moved    `embed:""`
}

// Run qualifies incidents.
func (c *incidentsQualifyCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Qualify, Kind: incidents.Kind(c.Kind), Category: c.Category,
		Impact: incidents.Impact(c.Impact), Urgency: incidents.Urgency(c.Urgency), Into: c.Into})
}

type incidentsAskCommand struct {
	Text          string        `help:"What is to be done; without it the questionnaire is asked."`
	Questionnaire string        `help:"Which questionnaire; default without --text: the category's." placeholder:"ID"`
	Language      string        `help:"Of the questions: en, fr or ro."`
	Of            string        `help:"Which site manager; default: whoever looks after the site." placeholder:"NAME"`
	In            time.Duration `default:"24h" help:"Time to do it in."`
	moved         `embed:""`
}

// Run asks for an action.
func (c *incidentsAskCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Ask,
		Actions: []api.NewAction{{Text: c.Text, Assignee: c.Of, Due: time.Now().Add(c.In).UTC(),
			Questionnaire: c.Questionnaire, Language: c.Language}}})
}

type incidentsAnswerCommand struct {
	Action int      `required:"" help:"Which action."`
	Text   string   `help:"What was found or done." placeholder:"TEXT"`
	Say    []string `sep:"none" help:"The answer to a question, such as lights=dark; once for each, in their order." placeholder:"QUESTION=ANSWER"`
	Until  string   `help:"With an answer that keeps silent: until when, RFC 3339 or a date (UTC)." placeholder:"TIME"`
	moved  `embed:""`
}

// answers reads what is said.
func (c *incidentsAnswerCommand) answers() (out []api.GivenAnswer, err error) {
	for _, said := range c.Say {
		question, value, ok := strings.Cut(said, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--say %s: want QUESTION=ANSWER", said)}
		}
		out = append(out, api.GivenAnswer{Question: question, Value: value})
	}
	if c.Until != "" && len(out) > 0 {
		if out[len(out)-1].Until, err = parseTime(c.Until); err != nil {
			return nil, usageError{err}
		}
	}
	return out, nil
}

// Run answers an action.
func (c *incidentsAnswerCommand) Run(ctx context.Context, t *terminal) error {
	answers, err := c.answers()
	if err != nil {
		return err
	}
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Reply, Action: c.Action, Text: c.Text, Answers: answers})
}

type incidentsHoldCommand struct {
	Reason   string        `required:"" help:"requester, vendor, change, site_visit or scheduled."`
	Note     string        `required:"" help:"What the requester is to know."`
	For      time.Duration `default:"24h" help:"How long."`
	Supplier string        `help:"With --reason vendor: whose turn it is." placeholder:"NAME"`
	moved    `embed:""`
}

// Run holds incidents.
func (c *incidentsHoldCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Hold, Reason: c.Reason, Text: c.Note, Supplier: c.Supplier,
		Until: time.Now().Add(c.For).UTC()})
}

type incidentsWakeCommand struct {
	moved `embed:""`
}

// Run wakes incidents.
func (c *incidentsWakeCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Wake})
}

type incidentsEscalateCommand struct {
	Reason    string `required:"" help:"Why."`
	Override  string `help:"Why although actions are open, or the questionnaire is not done."`
	Supplier  string `help:"To level 3: whose case it becomes." placeholder:"NAME"`
	Reference string `help:"The supplier's own reference." placeholder:"TEXT"`
	moved     `embed:""`
}

// Run escalates incidents.
func (c *incidentsEscalateCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Escalate, Reason: c.Reason, Override: c.Override,
		Supplier: c.Supplier, Reference: c.Reference})
}

type incidentsReturnCommand struct {
	Solution string `required:"" help:"What the level below is to do."`
	moved    `embed:""`
}

// Run returns incidents.
func (c *incidentsReturnCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Return, Summary: c.Solution})
}

type incidentsResolveCommand struct {
	Code       string `required:"" help:"How it ended: fixed, workaround, replaced, configuration, ..."`
	Cause      string `help:"What it was: power, network, cabling, hardware, ...; default: what the answers to the questions point at."`
	Summary    string `required:"" help:"What was done."`
	Item       string `help:"The device or site that it was about." placeholder:"NAME"`
	Workaround string `help:"With --code workaround: how to live with it."`
	Force      string `help:"Why although the condition is not clear." placeholder:"REASON"`
	moved      `embed:""`
}

// Run resolves incidents.
func (c *incidentsResolveCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Resolve, Code: c.Code, Cause: c.Cause, Summary: c.Summary,
		Item: c.Item, Workaround: c.Workaround, Force: c.Force != "", Reason: c.Force})
}

type incidentsApproveCommand struct {
	Points int `help:"How well it was done: 1 (bad) to 5 (good)."`
	moved  `embed:""`
}

// Run approves resolutions.
func (c *incidentsApproveCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Approve, Points: c.Points})
}

type incidentsRejectCommand struct {
	Reason string `required:"" help:"Why."`
	moved  `embed:""`
}

// Run rejects resolutions.
func (c *incidentsRejectCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Reject, Reason: c.Reason})
}

type incidentsMergeCommand struct {
	Into  string `required:"" help:"The incident that stays." placeholder:"REF"`
	moved `embed:""`
}

// Run merges incidents.
func (c *incidentsMergeCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Merge, Into: c.Into})
}

type incidentsCancelCommand struct {
	Code   string `required:"" help:"false_positive, site_closed or mistake."`
	Reason string `required:"" help:"Why."`
	moved  `embed:""`
}

// Run cancels incidents.
func (c *incidentsCancelCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Cancel, Code: c.Code, Reason: c.Reason})
}

type incidentsWithdrawCommand struct {
	Action int    `required:"" help:"Which action."`
	Reason string `required:"" help:"Why."`
	moved  `embed:""`
}

// Run withdraws an action.
func (c *incidentsWithdrawCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Withdraw, Action: c.Action, Reason: c.Reason})
}

type incidentsRateCommand struct {
	Points int    `required:"" help:"1 (bad) to 5 (good)."`
	Text   string `help:"What else there is to say." placeholder:"TEXT"`
	moved  `embed:""`
}

// Run rates solutions.
func (c *incidentsRateCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Rate, Points: c.Points, Text: c.Text})
}

type incidentsCloseCommand struct {
	Reason string `help:"Why." placeholder:"TEXT"`
	moved  `embed:""`
}

// Run closes incidents.
func (c *incidentsCloseCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Close, Reason: c.Reason})
}

type incidentsMajorCommand struct {
	Reason string `required:"" help:"Why."`
	moved  `embed:""`
}

// Run declares major incidents.
func (c *incidentsMajorCommand) Run(ctx context.Context, t *terminal) error {
	return c.move(ctx, t, api.TransitionBody{Transition: incidents.Major, Reason: c.Reason})
}
