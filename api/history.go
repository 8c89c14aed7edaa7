package api

import (
	"context"
	"strconv"

	"belfry/incidents"
)

// HistoryEvent is an entry of some incident's timeline.
type HistoryEvent struct {
	Ref  string `json:"ref" doc:"Of the incident"`
	Site string `json:"site,omitempty"`
	Event
}

type historyIn struct {
	Site      string `query:"site" maxLength:"128" doc:"What happened at this site"`
	Device    string `query:"device" maxLength:"128" doc:"What happened to this device"`
	Requester string `query:"requester" maxLength:"128" doc:"What happened to what this person reported"`
	Limit     int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor    string `query:"cursor" maxLength:"512"`
}

func (a *app) getHistory(ctx context.Context, in *historyIn) (*listOut[HistoryEvent], error) {
	place, err := fromCursor("history", in.Cursor)
	if err != nil {
		return nil, err
	}
	before, err := strconv.ParseInt("0"+place, 10, 64)
	if err != nil {
		return nil, oneFault("cursor", "is none of this list")
	}
	events, last, err := a.Desk.History(ctx, incidents.HistoryQuery{Site: in.Site, Device: in.Device, Requester: in.Requester, Before: before, Limit: in.Limit}, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	views := make([]HistoryEvent, len(events))
	for i, e := range events {
		view, err := eventView(e.Event)
		if err != nil {
			return nil, err
		}
		views[i] = HistoryEvent{Ref: e.Ref, Site: e.Site, Event: view}
	}
	next := ""
	if last > 0 {
		next = toCursor("history", strconv.FormatInt(last, 10))
	}
	return listed(views, next), nil
}
