package analyzer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// summaryFuncs are the functions of a summary. A missing value is "unknown".
var summaryFuncs = template.FuncMap{
	"duration": func(v any) string { return inWords(v, formatSeconds) },
	"percent":  func(v any) string { return inWords(v, formatPercent) },
	"number":   func(v any) string { return inWords(v, formatNumber) },
}

func inWords(v any, format func(float64) string) string {
	if x, ok := v.(float64); ok {
		return format(x)
	}
	return "unknown"
}

// maxSummary bounds a template and what it may print.
const maxSummary = 4096

// parseSummary reads a template and tries it, with and without values.
func parseSummary(text string) (*template.Template, error) {
	if len(text) > maxSummary {
		return nil, fmt.Errorf("it is longer than %d bytes", maxSummary)
	}
	t, err := template.New("summary").Option("missingkey=error").Funcs(summaryFuncs).Parse(text)
	if err != nil {
		return nil, plainTemplateError(err)
	}
	if len(t.Templates()) > 1 || t.Tree != nil && loops(t.Root) {
		return nil, errors.New("it uses range, define, template or block")
	}
	for _, v := range []*float64{new(float64), nil} {
		if err := t.Execute(io.Discard, summaryData("d", "s", "d", v, v, time.Unix(0, 0))); err != nil {
			return nil, plainTemplateError(err)
		}
	}
	return t, nil
}

// loops reports whether a template repeats or includes anything; a summary has
// no use for either.
func loops(list *parse.ListNode) bool {
	if list == nil {
		return false
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.RangeNode, *parse.TemplateNode:
			return true
		case *parse.IfNode:
			if loops(n.List) || loops(n.ElseList) {
				return true
			}
		case *parse.WithNode:
			if loops(n.List) || loops(n.ElseList) {
				return true
			}
		}
	}
	return false
}

// plainTemplateError takes the template package's prefix off.
func plainTemplateError(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, ">: "); i >= 0 {
		return errors.New(text[i+3:])
	}
	return errors.New(strings.TrimPrefix(text, "template: summary:"))
}

func summaryData(device, site, scope string, value, threshold *float64, since time.Time) map[string]any {
	orUnknown := func(v *float64) any {
		if v == nil {
			return "unknown"
		}
		return *v
	}
	return map[string]any{
		"device": device, "site": site, "scope": scope,
		"value": orUnknown(value), "threshold": orUnknown(threshold), "since": since.UTC().Format("2006-01-02 15:04 UTC"),
	}
}
