package incidents

import (
	"context"
	"fmt"
	"slices"
)

// Channels are the ways in which people reach the desk. What comes in by one of
// them stands on the timeline as its source.
var Channels = []Source{ByAPI, ByPortal, ByMail, ByPhone, ByVisit, ByScan}

// through returns the actor as one who came by the channel that the request
// names: the desk writes down what it was told on the telephone.
func (a Actor) through(channel Source) (Actor, error) {
	if channel == "" || a.automatic() {
		return a, nil
	}
	if !slices.Contains(Channels, channel) {
		return a, &InvalidError{[]Fault{{"channel", fmt.Sprintf("no channel %q; want one of %v", channel, Channels)}}}
	}
	if !a.Role.OnDesk() && channel != ByPortal && channel != ByAPI && channel != a.Source {
		return a, &ForbiddenError{"channel-not-yours", fmt.Sprintf("the role %q does not write down what came by %s", a.Role, channel)}
	}
	a.Source = channel
	return a, nil
}

// HistoryQuery asks what happened at a site, to a device, or to what somebody has
// reported: the newest first.
type HistoryQuery struct {
	Site, Device, Requester string
	Level                   int
	Supplier                string
	Before                  int64 // start after this entry
	Limit                   int
}

// History returns up to limit entries of the timelines that the query selects and
// that the actor may read, and where to go on; 0 at the end.
func (d *Desk) History(ctx context.Context, q HistoryQuery, actor Actor) (out []FeedEvent, next int64, err error) {
	if q.Site+q.Device+q.Requester == "" {
		return nil, 0, &InvalidError{[]Fault{{"site", "is missing, and so are device and requester; want one of them"}}}
	}
	if !actor.narrow(&q.Site, &q.Level, &q.Supplier) {
		return nil, 0, nil
	}
	page, err := d.store.History(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	if len(page) == q.Limit {
		next = page[len(page)-1].ID
	}
	for _, e := range page {
		if actor.Reads(&e.Event) {
			out = append(out, e)
		}
	}
	return out, next, nil
}
