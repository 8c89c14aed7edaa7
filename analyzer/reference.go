package analyzer

import (
	"fmt"
	"strings"
)

// Reference returns the reference of the rule language in Markdown, made from
// the tables that the loader itself reads.
func Reference() string {
	var b strings.Builder
	b.WriteString("## Keys of a rule\n\n| Key | Meaning |\n|---|---|\n")
	for _, k := range ruleKeys {
		about := k.about
		if k.required {
			about += " (required)"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", k.name, cell(about))
	}
	b.WriteString("\n## Signals\n\n| Signal | Gives | Meaning |\n|---|---|---|\n")
	for _, s := range signals {
		form, _, _ := strings.Cut(s.form(), ", where")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", cell(form), s.unit, cell(s.about))
	}
	b.WriteString("\nW is a trailing duration such as `1h`, or `day`, or `open`; M is the name of a measurement.\n" +
		"A trailing W of counts is from W before the instant up to the instant and without it: a count that is stamped with the instant itself is still on its way.\n")
	b.WriteString("\n## Placeholders of `query`\n\n| Placeholder | Meaning |\n|---|---|\n")
	for _, p := range rawParams {
		kind := "DateTime64(3)"
		if p.name == "day" {
			kind = "Date"
		}
		fmt.Fprintf(&b, "| `{%s:%s}` | %s |\n", p.name, kind, cell(p.about))
	}
	b.WriteString("| `{NAME:Float64}` | the rule's parameter NAME; a duration in seconds, 10% as 0.1 |\n")
	b.WriteString("\n## Functions\n\n| Function | Meaning |\n|---|---|\n")
	for _, f := range functions {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.name, f.about)
	}
	b.WriteString("\n## Fields of `where`\n\n")
	for _, f := range whereFields {
		fmt.Fprintf(&b, "- `%s`\n", f)
	}
	b.WriteString("- `site.label.NAME`\n- `label.NAME`, a label of the device\n")
	b.WriteString("\n| Behind a field | Passes when |\n|---|---|\n")
	for _, f := range whereForms {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.form, f.about)
	}
	b.WriteString("\nFields and labels are set in the registry: [calendars and labels of sites](calendars.md#labels).\n")
	return b.String()
}

// cell escapes what would end a cell of a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
