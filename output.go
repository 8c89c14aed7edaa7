package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// logger returns the log of a program that serves; it goes to standard error.
func (t *terminal) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(t.config.LogLevel)) // checked with the configuration
	return t.loggerFrom(level)
}

// quietLogger returns the log of a command that ends by itself: what it did it
// prints, so only what is wrong is logged.
func (t *terminal) quietLogger() *slog.Logger { return t.loggerFrom(slog.LevelWarn) }

func (t *terminal) loggerFrom(level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if t.config.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(t.err, options))
	}
	return slog.New(slog.NewTextHandler(t.err, options))
}

// printJSON writes a value as indented JSON.
func (t *terminal) printJSON(v any) error {
	e := json.NewEncoder(t.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printTable writes rows under a heading, in columns.
func (t *terminal) printTable(heading string, rows [][]string) error {
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(heading, " ", "\t"))
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// progress shows how far long work has got, on a terminal; elsewhere nothing.
// Its total is -1 where it is not known.
func (t *terminal) progress(total int64, what string) *progressbar.ProgressBar {
	out := io.Discard
	if f, ok := t.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		out = f
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0)) // its own timer races with Finish
}
