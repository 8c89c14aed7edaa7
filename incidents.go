package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"belfry/api"
)

type incidentsCommand struct {
	List     incidentsListCommand     `cmd:"" help:"List incidents, the newest first."`
	Show     incidentsShowCommand     `cmd:"" help:"Show one incident: what it is, its clocks and its timeline."`
	Report   incidentsReportCommand   `cmd:"" help:"Report an incident."`
	Take     incidentsTakeCommand     `cmd:"" help:"Take incidents: start to work on them."`
	Assign   incidentsAssignCommand   `cmd:"" help:"Give incidents to somebody."`
	Qualify  incidentsQualifyCommand  `cmd:"" help:"Say what sort of work incidents are and how much they matter."`
	Ask      incidentsAskCommand      `cmd:"" help:"Ask people at the site to do something; the incident waits for it."`
	Answer   incidentsAnswerCommand   `cmd:"" help:"Answer an action, or the questions that it asks."`
	Actions  incidentsActionsCommand  `cmd:"" help:"List what people were asked and have not done."`
	Withdraw incidentsWithdrawCommand `cmd:"" help:"Take back what people were asked."`
	Hold     incidentsHoldCommand     `cmd:"" help:"Let incidents wait for something, until a time."`
	Wake     incidentsWakeCommand     `cmd:"" help:"End the waiting."`
	Escalate incidentsEscalateCommand `cmd:"" help:"Pass incidents to the next level of support."`
	Return   incidentsReturnCommand   `cmd:"" help:"Give incidents back to the level below, with a solution."`
	Resolve  incidentsResolveCommand  `cmd:"" help:"Say that incidents are mended, and how."`
	Approve  incidentsApproveCommand  `cmd:"" help:"Agree that incidents are mended."`
	Reject   incidentsRejectCommand   `cmd:"" help:"Disagree: the work goes on."`
	Rate     incidentsRateCommand     `cmd:"" help:"Say how well incidents were solved."`
	Close    incidentsCloseCommand    `cmd:"" help:"Close what was resolved, without approval."`
	Major    incidentsMajorCommand    `cmd:"" help:"Declare major incidents: priority 1, a problem, and the draft of an announcement."`
	Merge    incidentsMergeCommand    `cmd:"" help:"Put incidents into another one that covers them."`
	Cancel   incidentsCancelCommand   `cmd:"" help:"End incidents that should not be."`
	Comment  incidentsCommentCommand  `cmd:"" help:"Say something about an incident."`
	Attach   incidentsAttachCommand   `cmd:"" help:"Attach a file to an incident."`
	History  incidentsHistoryCommand  `cmd:"" help:"What happened at a site, to a device, or to what a person reported, on every channel."`
}

type incidentsListCommand struct {
	Site     string `help:"Of this site." placeholder:"ID"`
	Device   string `help:"Of this device." placeholder:"NAME"`
	Category string `help:"Of this category."`
	State    string `help:"In this state: new, in_progress, pending, resolved, closed or cancelled."`
	SLA      string `name:"sla" help:"Against what was promised: ok, at_risk, breached, paused or met."`
	Assignee string `help:"Of this owner." placeholder:"NAME"`
	Reporter string `help:"Reported by this person." placeholder:"NAME"`
	Level    int    `help:"At this level of support: 1, 2 or 3."`
	Supplier string `help:"That are with this supplier now." placeholder:"NAME"`
	Priority int    `help:"Of this priority: 1 to 4."`
	Q        string `name:"search" short:"q" help:"With these words in the summary." placeholder:"WORDS"`
	Limit    int    `default:"50" help:"At most so many, up to 500."`
	JSON     bool   `help:"Print JSON."`
}

// Run lists incidents.
func (c *incidentsListCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"site": c.Site, "device": c.Device, "category": c.Category, "state": c.State,
		"sla": c.SLA, "assignee": c.Assignee, "reporter": c.Reporter, "level": number(c.Level), "supplier": c.Supplier, "priority": number(c.Priority), "q": c.Q} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var page api.Page[api.Incident]
	if err := door.call(ctx, "GET", "/api/v1/incidents?"+query.Encode(), nil, &page); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(page.Items)
	}
	var rows [][]string
	for _, i := range page.Items {
		rows = append(rows, []string{i.Ref, "P" + strconv.Itoa(i.Priority), string(i.State), string(i.Condition), orDash(i.SLA),
			orDash(i.Assignee), orDash(i.Site), i.OpenedAt.Format("2006-01-02 15:04"), i.Summary})
	}
	return t.printTable("REF PRIORITY STATE CONDITION SLA OWNER SITE OPENED SUMMARY", rows)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

type incidentsShowCommand struct {
	Ref      string `arg:"" help:"Its reference, such as INC-000123."`
	Language string `default:"en" help:"Of the questions and articles: en, fr or ro."`
	JSON     bool   `help:"Print JSON."`
}

// incidentFile is all that there is to read of an incident.
type incidentFile struct {
	api.Incident
	Guide    api.Guide   `json:"guide"`
	Clocks   []api.Clock `json:"clocks"`
	Evidence []api.Shown `json:"evidence"`
	Timeline []api.Event `json:"timeline"`
}

// Run shows an incident.
func (c *incidentsShowCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	path := "/api/v1/incidents/" + url.PathEscape(c.Ref)
	var file incidentFile
	if err := door.call(ctx, "GET", path, nil, &file.Incident); err != nil {
		return err
	}
	var clocks api.Page[api.Clock]
	if err := door.call(ctx, "GET", path+"/clocks?explain=1", nil, &clocks); err != nil {
		return err
	}
	file.Clocks = clocks.Items
	if err := door.call(ctx, "GET", path+"/guide?language="+url.QueryEscape(c.Language), nil, &file.Guide); err != nil {
		return err
	}
	if file.Evidence, err = list[api.Shown](ctx, door, path+"/evidence", url.Values{}); err != nil {
		return err
	}
	if file.Timeline, err = list[api.Event](ctx, door, path+"/timeline", url.Values{}); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(file)
	}
	return t.printIncident(file)
}

func (t *terminal) printIncident(f incidentFile) error {
	fmt.Fprintf(t.out, "%s  %s\n%s, %s; priority %d, level %d, %s; owner %s, site %s, device %s\n", f.Ref, f.Summary,
		f.State, f.Condition, f.Priority, f.Level, f.Category, orDash(f.Assignee), orDash(f.Site), orDash(f.Device))
	for _, a := range f.Actions {
		fmt.Fprintf(t.out, "action %d for %s, due %s, %s: %s %s\n", a.ID, orDash(a.Assignee), when(a.Due), orOpen(a.How), a.Text, a.Answer)
	}
	if r := f.Resolution; r != nil {
		fmt.Fprintf(t.out, "resolved as %s, cause %s: %s\n", r.Code, orDash(r.Cause), r.Summary)
	}
	if err := t.printGuide(f.Guide); err != nil {
		return err
	}
	var rows [][]string
	for _, k := range f.Clocks {
		rows = append(rows, []string{k.Name, k.Agreement, lasting(k.Consumed), lasting(k.Target), when(k.Due), clockWord(k)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(t.out)
		if err := t.printTable("CLOCK AGREEMENT CONSUMED TARGET DUE IT", rows); err != nil {
			return err
		}
	}
	if err := t.printEvidence(f.Evidence); err != nil {
		return err
	}
	rows = nil
	for _, e := range f.Timeline {
		rows = append(rows, []string{strconv.FormatInt(e.Seq, 10), when(e.At), e.Actor, string(e.Kind), e.Text})
	}
	fmt.Fprintln(t.out)
	return t.printTable("SEQ AT WHO WHAT TEXT", rows)
}

func orOpen(s string) string {
	if s == "" {
		return "open"
	}
	return s
}

func lasting(seconds int64) string { return (time.Duration(seconds) * time.Second).String() }

func clockWord(k api.Clock) string {
	switch {
	case k.Breached && k.Running:
		return "breached, runs"
	case k.Breached:
		return "breached"
	case k.Running:
		return "runs"
	}
	return "stands"
}

type incidentsReportCommand struct {
	Summary     string `arg:"" help:"What is wrong, in one sentence."`
	Description string `help:"What else there is to say."`
	Site        string `help:"Where; needed without --device." placeholder:"ID"`
	Device      string `help:"Which device." placeholder:"NAME"`
	Category    string `help:"Default: user_report/other."`
	Impact      string `help:"client, site or device."`
	Urgency     string `help:"high, medium or low."`
	Kind        string `help:"incident, service_request, question or other."`
	Channel     string `help:"By which it came: api, portal, email, phone, visit or scan."`
	Reporter    string `help:"On whose behalf." placeholder:"NAME"`
	JSON        bool   `help:"Print JSON."`
}

// Run reports an incident.
func (c *incidentsReportCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	ask := map[string]string{"summary": c.Summary}
	for name, value := range map[string]string{"description": c.Description, "site": c.Site, "device": c.Device,
		"category": c.Category, "impact": c.Impact, "urgency": c.Urgency, "kind": c.Kind, "channel": c.Channel, "reporter": c.Reporter} {
		if value != "" {
			ask[name] = value
		}
	}
	var made api.Incident
	if err := door.call(ctx, "POST", "/api/v1/incidents", ask, &made); err != nil {
		return err
	}
	return t.printMoved(c.JSON, made)
}

type incidentsCommentCommand struct {
	Ref      string `arg:"" help:"Its reference."`
	Text     string `arg:"" help:"What is to be said."`
	Internal bool   `help:"For the desk's eyes only."`
	Shared   bool   `help:"For the desk's and the supplier's eyes only."`
	Channel  string `help:"By which it came: api, portal, email, phone, visit or scan."`
}

// Run adds a comment.
func (c *incidentsCommentCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	said := map[string]any{"text": c.Text, "internal": c.Internal, "shared": c.Shared}
	if c.Channel != "" {
		said["channel"] = c.Channel
	}
	return door.call(ctx, "POST", "/api/v1/incidents/"+url.PathEscape(c.Ref)+"/comments", said, nil)
}
