package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"belfry/api"
)

type announcementsCommand struct {
	List  announcementsListCommand  `cmd:"" help:"List announcements, the newest first."`
	Draft announcementsDraftCommand `cmd:"" help:"Draft an announcement; nobody is told yet."`
	Tell  announcementsTellCommand  `cmd:"" help:"Publish an announcement, or an update of it: each subscriber is told once."`
}

type announcementsListCommand struct {
	State string `help:"draft, published, ended or withdrawn."`
	Live  bool   `help:"Only what has not ended."`
	JSON  bool   `help:"Print JSON."`
}

// Run lists announcements.
func (c *announcementsListCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	query := url.Values{"state": {c.State}}
	if c.Live {
		query.Set("live", "true")
	}
	announcements, err := list[api.Announcement](ctx, door, "/api/v1/announcements", query)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(announcements)
	}
	var rows [][]string
	for _, a := range announcements {
		where := strings.Join(a.Sites, ",")
		if where == "" {
			where = "everywhere"
		}
		rows = append(rows, []string{a.Ref, string(a.State), when(a.From), when(a.To), inShort(where), strconv.Itoa(len(a.Updates)), orDash(a.Incident), inShort(a.Title)})
	}
	return t.printTable("REF STATE FROM TO SITES UPDATES INCIDENT TITLE", rows)
}

type announcementsDraftCommand struct {
	Title   string   `arg:"" help:"In one sentence."`
	Text    string   `help:"What people are to know." placeholder:"TEXT"`
	Sites   []string `help:"Whom it concerns; everybody when left out." placeholder:"ID"`
	Planned bool     `help:"It is work that is planned."`
	From    string   `help:"When it begins: RFC 3339 or a date (UTC)." placeholder:"TIME"`
	To      string   `help:"When it is expected to be over." placeholder:"TIME"`
	JSON    bool     `help:"Print JSON."`
}

// Run drafts an announcement.
func (c *announcementsDraftCommand) Run(ctx context.Context, t *terminal) error {
	body := api.AnnouncementBody{Title: &c.Title, Text: given(c.Text), Sites: c.Sites}
	if c.Planned {
		body.Planned = &c.Planned
	}
	for text, into := range map[string]**time.Time{c.From: &body.From, c.To: &body.To} {
		if text == "" {
			continue
		}
		at, err := parseTime(text)
		if err != nil {
			return usageError{err}
		}
		*into = &at
	}
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var a api.Announcement
	if err := door.call(ctx, "POST", "/api/v1/announcements", body, &a); err != nil {
		return err
	}
	return t.printAnnouncement(c.JSON, a)
}

func (t *terminal) printAnnouncement(json bool, a api.Announcement) error {
	if json {
		return t.printJSON(a)
	}
	_, err := fmt.Fprintf(t.out, "%s is %s, with %d updates: %s\n", a.Ref, a.State, len(a.Updates), a.Title)
	return err
}

type announcementsTellCommand struct {
	Ref  string `arg:"" help:"Its reference, such as ANN-000001."`
	Text string `arg:"" optional:"" help:"What people are to know; the first time the announcement's own text when left out."`
	End  bool   `help:"It is over."`
	JSON bool   `help:"Print JSON."`
}

// Run publishes an update.
func (c *announcementsTellCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var a api.Announcement
	body := map[string]any{"text": c.Text, "end": c.End}
	if err := door.call(ctx, "POST", "/api/v1/announcements/"+url.PathEscape(c.Ref)+"/updates", body, &a); err != nil {
		return err
	}
	return t.printAnnouncement(c.JSON, a)
}
