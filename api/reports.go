package api

import (
	"context"
	"time"

	"belfry/incidents"
)

type reportsIn struct {
	From   time.Time `query:"from" required:"true" doc:"Incidents opened from then on"`
	To     time.Time `query:"to" required:"true" doc:"and before then"`
	By     string    `query:"by" enum:"site,category,level,rule,priority" doc:"Figures for each; for all together when left out"`
	Site   string    `query:"site" maxLength:"128"`
	Format string    `query:"format" enum:"json,csv" doc:"csv for a spreadsheet"`
}

// figureColumns are the figures as a spreadsheet has them.
var figureColumns = []string{"group", "opened", "open", "resolved", "cancelled", "responded", "response_median", "response_p90", "response_business_median",
	"resolve_median", "resolve_p90", "resolve_business_median", "resolve_business_p90", "respond_breaches", "resolve_breaches", "reopened", "reopenings",
	"resolved_by_people", "first_contact", "first_contact_share", "judged", "false_positives", "false_positive_share", "rated", "satisfaction"}

func (a *app) getReport(ctx context.Context, in *reportsIn) (*listOut[incidents.Figures], error) {
	figures, err := a.Desk.Figures(ctx, incidents.ReportQuery{From: in.From, To: in.To, By: in.By, Site: in.Site}, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	return listed(figures, ""), nil
}

// judge adds to rules what people made of their incidents.
func (a *app) judge(ctx context.Context, rules []Rule) ([]Rule, error) {
	verdicts, err := a.Desk.Verdicts(ctx, a.Now())
	if err != nil {
		return nil, err
	}
	out := make([]Rule, len(rules))
	for i, r := range rules {
		v := verdicts[r.Name]
		r.Judged, r.FalsePositives = v.Judged, v.FalsePositives
		if v.Judged > 0 {
			share := v.Share()
			r.FalsePositiveShare = &share
		}
		out[i] = r
	}
	return out, nil
}
