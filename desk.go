package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/goccy/go-yaml"

	"belfry/api"
	"belfry/incidents"
)

type deskCommand struct {
	List   deskListCommand   `cmd:"" help:"List what is laid down, of one kind."`
	Show   deskShowCommand   `cmd:"" help:"Show one as YAML, in the form that put takes."`
	Put    deskPutCommand    `cmd:"" help:"Make or change one from a YAML or JSON file; what is under way keeps the version that it began with."`
	Retire deskRetireCommand `cmd:"" help:"Begin nothing new under one."`
}

// laid names one thing that the desk has laid down.
type laid struct {
	Kind string `arg:"" enum:"categories,questionnaires,articles,matrices,calendars,agreements,silences,windows,contacts" help:"categories, questionnaires, articles, matrices, calendars, agreements, silences, windows or contacts."`
	ID   string `arg:"" help:"Its id, or a contact's name."`
}

func (l laid) path() string { return "/api/v1/" + l.Kind + "/" + url.PathEscape(l.ID) }

type deskListCommand struct {
	Kind     string `arg:"" enum:"categories,questionnaires,articles,matrices,calendars,agreements,silences,windows,contacts" help:"categories, questionnaires, articles, matrices, calendars, agreements, silences, windows or contacts."`
	Language string `default:"en" help:"Of their names: en, fr or ro."`
	JSON     bool   `help:"Print JSON."`
}

// Run lists what is laid down.
func (c *deskListCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	all, err := c.all(ctx, door)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(all)
	}
	rows := make([][]string, len(all))
	for i, data := range all {
		var one map[string]any
		if err := json.Unmarshal(data, &one); err != nil {
			return fmt.Errorf("read %s: %w", c.Kind, err)
		}
		rows[i] = []string{wordsOf(one["id"], "") + wordsOf(one["email"], ""), inShort(titleOf(one, c.Language))}
	}
	return t.printTable("ID WHAT", rows)
}

// all returns everything of the kind. Contacts, of whom there may be many, come in
// pages.
func (c *deskListCommand) all(ctx context.Context, door *client) ([]json.RawMessage, error) {
	path := "/api/v1/" + c.Kind
	if c.Kind == "contacts" {
		return list[json.RawMessage](ctx, door, path, url.Values{})
	}
	var page api.Page[json.RawMessage]
	err := door.call(ctx, http.MethodGet, path, nil, &page)
	return page.Items, err
}

// titleOf returns what says most about something that is laid down.
func titleOf(one map[string]any, language string) string {
	for _, field := range []string{"title", "name", "about", "reason"} {
		if text := wordsOf(one[field], language); text != "" {
			return text
		}
	}
	return ""
}

// wordsOf returns a text, or that of a language.
func wordsOf(v any, language string) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		text := incidents.Text{}
		for l, s := range v {
			text[l], _ = s.(string)
		}
		return text.In(language)
	}
	return ""
}

type deskShowCommand struct {
	laid `embed:""`
	JSON bool `help:"Print JSON."`
}

// Run shows one.
func (c *deskShowCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var data json.RawMessage
	if err := door.call(ctx, http.MethodGet, c.path(), nil, &data); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(data)
	}
	text, err := yaml.JSONToYAML(data)
	if err == nil {
		_, err = t.out.Write(text)
	}
	return err
}

type deskPutCommand struct {
	laid `embed:""`
	File string `arg:"" help:"YAML or JSON; - reads standard input."`
}

// Run makes or changes one.
func (c *deskPutCommand) Run(ctx context.Context, t *terminal) error {
	text, err := readOrStdin(c.File)
	if err != nil {
		return err
	}
	body, err := yaml.YAMLToJSON(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	_, err = door.send(ctx, http.MethodGet, c.path(), nil)
	var refused *refusal
	switch {
	case err == nil:
		_, err = door.send(ctx, http.MethodPut, c.path(), bytes.NewReader(body), "If-Match", "*")
	case errors.As(err, &refused) && refused.status == http.StatusNotFound:
		_, err = door.send(ctx, http.MethodPut, c.path(), bytes.NewReader(body))
	}
	if err == nil {
		_, err = fmt.Fprintf(t.out, "%s is laid down among the %s\n", c.ID, c.Kind)
	}
	return err
}

func readOrStdin(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

type deskRetireCommand struct {
	laid `embed:""`
}

// Run retires one.
func (c *deskRetireCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	if _, err := door.send(ctx, http.MethodDelete, c.path(), nil, "If-Match", "*"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s is retired from the %s\n", c.ID, c.Kind)
	return err
}
