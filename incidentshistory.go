package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"belfry/api"
	"belfry/incidents"
)

type incidentsHistoryCommand struct {
	Site      string `help:"What happened at this site." placeholder:"ID"`
	Device    string `help:"What happened to this device." placeholder:"NAME"`
	Requester string `help:"What happened to what this person reported." placeholder:"NAME"`
	Limit     int    `default:"100" help:"At most so many entries, the newest first, up to 500."`
	JSON      bool   `help:"Print JSON."`
}

// Run lists what happened, on every channel.
func (c *incidentsHistoryCommand) Run(ctx context.Context, t *terminal) error {
	if c.Site+c.Device+c.Requester == "" {
		return usageError{errors.New("want --site, --device or --requester; incidents show REF has the timeline of one incident")}
	}
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{"site": c.Site, "device": c.Device, "requester": c.Requester} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var page api.Page[api.HistoryEvent]
	if err := door.call(ctx, http.MethodGet, "/api/v1/history?"+query.Encode(), nil, &page); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(page.Items)
	}
	rows := make([][]string, len(page.Items))
	for i, e := range page.Items {
		rows[i] = []string{when(e.At), e.Ref, orDash(e.Site), e.Actor, string(e.Source), string(e.Kind), inShort(e.Text)}
	}
	return t.printTable("AT INCIDENT SITE WHO BY WHAT TEXT", rows)
}

type incidentsAttachCommand struct {
	Ref      string `arg:"" help:"The incident's reference."`
	File     string `arg:"" type:"existingfile" help:"The file, of at most 10 MiB."`
	Internal bool   `help:"For the desk's eyes only."`
	JSON     bool   `help:"Print JSON."`
}

// Run attaches a file.
func (c *incidentsAttachCommand) Run(ctx context.Context, t *terminal) error {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	query := url.Values{"name": {filepath.Base(c.File)}, "internal": {strconv.FormatBool(c.Internal)}}
	answer, err := door.send(ctx, http.MethodPost, "/api/v1/incidents/"+url.PathEscape(c.Ref)+"/attachments?"+query.Encode(), file,
		"Content-Type", "application/octet-stream")
	if err != nil {
		return err
	}
	var added incidents.Attachment
	if err := json.Unmarshal(answer, &added); err != nil {
		return fmt.Errorf("read the answer about %s: %w", c.File, err)
	}
	if c.JSON {
		return t.printJSON(added)
	}
	_, err = fmt.Fprintf(t.out, "%s is attached to %s (%s, %d bytes)\n", added.Name, added.Ref, added.Type, added.Size)
	return err
}
