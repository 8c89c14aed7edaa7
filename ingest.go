package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"belfry/api"
	"belfry/incidents"
	"belfry/ingest"
)

type ingestCommand struct {
	Status ingestStatusCommand `cmd:"" help:"How far ingestion is, by partition."`
	Pause  ingestPauseCommand  `cmd:"" help:"Let readings wait in the log; it holds until they are told to go on, also over restarts."`
	Resume ingestResumeCommand `cmd:"" help:"Go on after a pause."`
	Dead   deadCommand         `cmd:"" help:"List what was refused, and send it again."`
}

type ingestStatusCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run prints how far ingestion is.
func (c *ingestStatusCommand) Run(ctx context.Context, t *terminal) error {
	a, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer a.close()
	var status api.Ingest
	if err := a.call(ctx, "GET", "/api/v1/ingest", nil, &status); err != nil {
		return err
	}
	return printIngest(t, status, c.JSON)
}

func printIngest(t *terminal, status api.Ingest, asJSON bool) error {
	if asJSON {
		return t.printJSON(status)
	}
	fmt.Fprintf(t.out, "topic %s; ", status.Topic)
	if status.Watermark.IsZero() {
		fmt.Fprintln(t.out, "how far the warehouse is is not known yet")
	} else {
		fmt.Fprintf(t.out, "everything that arrived by %s is in the warehouse\n", when(status.Watermark))
	}
	if status.Error != "" {
		fmt.Fprintln(t.out, "it is tried again:", status.Error)
	}
	var rows [][]string
	for _, p := range status.Partitions {
		state := "ok"
		switch {
		case p.Error != "":
			state = p.Error
		case p.Paused:
			state = "paused since " + when(p.Since)
		}
		rows = append(rows, []string{strconv.Itoa(p.Partition), strconv.FormatInt(p.Done, 10), strconv.FormatInt(p.End, 10),
			strconv.FormatInt(p.LagRecords, 10), fmt.Sprintf("%.1fs", p.LagSeconds), state})
	}
	return t.printTable("PARTITION DONE END LAG-RECORDS LAG STATE", rows)
}

type deadCommand struct {
	List  deadListCommand  `cmd:"" help:"List refused records, the newest first."`
	Show  deadShowCommand  `cmd:"" help:"Print one refused record as it was sent."`
	Retry deadRetryCommand `cmd:"" help:"Send refused records again, after a fix; they are not listed any more."`
}

type deadListCommand struct {
	Reason string `help:"Only those refused for this reason, such as bad_ts." placeholder:"R"`
	Limit  int    `help:"How many at most." default:"100"`
	JSON   bool   `help:"Print JSON."`
}

// Run lists what was refused.
func (c *deadListCommand) Run(ctx context.Context, t *terminal) error {
	if c.Reason != "" {
		if err := checkReason(c.Reason); err != nil {
			return err
		}
	}
	if c.Limit < 1 {
		return usageError{fmt.Errorf("--limit: %d; want 1 or more", c.Limit)}
	}
	a, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer a.close()
	letters, err := c.read(ctx, a)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(letters)
	}
	var rows [][]string
	for _, l := range letters {
		rows = append(rows, []string{l.ID, when(l.At), l.Reason, fmt.Sprintf("%d/%d", l.Partition, l.Offset), oneLine(l.Body, 60), l.Detail})
	}
	return t.printTable("ID ARRIVED REASON FROM BODY DETAIL", rows)
}

// read goes through the pages until there are enough.
func (c *deadListCommand) read(ctx context.Context, a *client) ([]api.DeadLetter, error) {
	letters := []api.DeadLetter{}
	query := url.Values{"limit": {strconv.Itoa(min(c.Limit, 500))}}
	if c.Reason != "" {
		query.Set("reason", c.Reason)
	}
	for {
		var page api.Page[api.DeadLetter]
		if err := a.call(ctx, "GET", "/api/v1/ingest/dead?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		letters = append(letters, page.Items...)
		if len(letters) >= c.Limit || page.Next == "" {
			return letters[:min(len(letters), c.Limit)], nil
		}
		query.Set("cursor", page.Next)
	}
}

func checkReason(reason string) error {
	for _, r := range ingest.Reasons {
		if r == reason {
			return nil
		}
	}
	return usageError{fmt.Errorf("--reason: no reason %q; want one of %s", reason, strings.Join(ingest.Reasons, ", "))}
}

// oneLine shows the beginning of a text without line breaks.
func oneLine(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit-1]) + "…"
	}
	return text
}

type deadShowCommand struct {
	ID   string `arg:"" help:"From the list."`
	JSON bool   `help:"Print JSON, with where it came from and why it was refused."`
}

// Run prints the body, byte for byte, so that it can be mended and sent.
func (c *deadShowCommand) Run(ctx context.Context, t *terminal) error {
	a, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer a.close()
	var letter api.DeadLetter
	if err := a.call(ctx, "GET", "/api/v1/ingest/dead/"+url.PathEscape(c.ID), nil, &letter); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(letter)
	}
	body := []byte(letter.Body)
	if letter.Base64 {
		if body, err = base64.StdEncoding.DecodeString(letter.Body); err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
	}
	_, err = t.out.Write(append(body, '\n'))
	return err
}

type deadRetryCommand struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"From the list."`
	Reason string   `help:"All that were refused for this reason." placeholder:"R"`
	All    bool     `help:"All of them."`
	JSON   bool     `help:"Print JSON."`
}

// Run sends what was refused again.
func (c *deadRetryCommand) Run(ctx context.Context, t *terminal) error {
	given := 0
	for _, is := range []bool{len(c.IDs) > 0, c.Reason != "", c.All} {
		if is {
			given++
		}
	}
	if given != 1 {
		return usageError{errors.New("dead retry: want IDs, or --reason, or --all")}
	}
	if c.Reason != "" {
		if err := checkReason(c.Reason); err != nil {
			return err
		}
	}
	a, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer a.close()
	var done api.Retried
	if err := a.call(ctx, "POST", "/api/v1/ingest/dead/retry", api.RetryQuery{IDs: c.IDs, Reason: c.Reason}, &done); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(done)
	}
	fmt.Fprintf(t.out, "%d sent again, %d left\n", done.Retried, done.Skipped)
	for _, s := range done.Why {
		fmt.Fprintf(t.out, "  %s: %s\n", s.ID, s.Why)
	}
	return nil
}

// listDead is GET /api/v1/ingest/dead.
func (w *watch) listDead(ctx context.Context, reason string, limit int, cursor string) ([]api.DeadLetter, string, error) {
	letters, next, err := w.dead.List(ctx, reason, limit, cursor)
	if errors.Is(err, ingest.ErrCursor) {
		return nil, "", &incidents.InvalidError{Faults: []incidents.Fault{{Field: "cursor", Wrong: "is none of this list; want next of the page before"}}}
	}
	out := make([]api.DeadLetter, len(letters))
	for i, l := range letters {
		out[i] = deadLetter(l)
	}
	return out, next, logError(err)
}

// findDead is GET /api/v1/ingest/dead/{id}.
func (w *watch) findDead(ctx context.Context, id string) (api.DeadLetter, error) {
	l, err := w.dead.Find(ctx, id)
	return deadLetter(l), logError(err)
}

// retryDead is POST /api/v1/ingest/dead/retry.
func (w *watch) retryDead(ctx context.Context, q api.RetryQuery) (api.Retried, error) {
	done, err := w.dead.Retry(ctx, ingest.Retry{IDs: q.IDs, Reason: q.Reason})
	out := api.Retried{Retried: done.Sent, Skipped: done.Skipped}
	for _, s := range done.Why {
		out.Why = append(out.Why, api.Skipped{ID: s.ID, Why: s.Why})
	}
	if done.Sent > 0 {
		w.log.Info("dead letters were sent again", "letters", done.Sent, "skipped", done.Skipped, "reason", q.Reason)
	}
	return out, logError(err)
}

// logError tells the API what an error of the log means.
func logError(err error) error {
	switch {
	case errors.Is(err, ingest.ErrNoLetter):
		return fmt.Errorf("%w: %w", incidents.ErrNotFound, err)
	case errors.Is(err, ingest.ErrUnreachable):
		return fmt.Errorf("%w: %w", api.ErrAway, err)
	}
	return err
}

func deadLetter(l ingest.DeadLetter) api.DeadLetter {
	out := api.DeadLetter{ID: l.ID, At: l.At, Reason: l.Reason, Detail: l.Detail, Partition: l.Partition, Offset: l.Offset,
		Body: string(l.Body), Retried: l.Retried}
	if l.ContentType != "" || !utf8.ValidString(out.Body) && !l.Cut {
		out.Body, out.Base64 = base64.StdEncoding.EncodeToString(l.Body), true
	}
	return out
}
