package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
)

// typeCSV is what a spreadsheet opens.
const typeCSV = "text/csv; charset=utf-8"

// spreadsheet lets a list be had as CSV, with these members of its items as
// columns: by ?format=csv or by Accept: text/csv.
func spreadsheet(columns ...string) option {
	return func(op *huma.Operation) { op.Metadata[metaCSV] = columns }
}

// describeCSV says so in the document.
func describeCSV(item *huma.PathItem, columns any) {
	names, ok := columns.([]string)
	if !ok || item.Get == nil || item.Get.Responses["200"] == nil {
		return
	}
	r := item.Get.Responses["200"]
	r.Content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: "string"}, Example: strings.Join(names, ",") + "\n"}
	r.Headers["Link"] = &huma.Param{Schema: &huma.Schema{Type: "string"}, Description: `Of CSV: where the next page is, as <address>; rel="next"`}
}

// asCSV rewrites a list that has its answer, when CSV is wanted.
func asCSV(c *fiber.Ctx, op *huma.Operation) error {
	columns, ok := op.Metadata[metaCSV].([]string)
	if !ok || c.Response().StatusCode() != fiber.StatusOK || !wantsCSV(c) {
		return nil
	}
	var list struct {
		Items []map[string]json.RawMessage `json:"items"`
		Next  string                       `json:"next"`
	}
	if err := json.Unmarshal(c.Response().Body(), &list); err != nil {
		return fmt.Errorf("read a list to write it as CSV: %w", err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	rows := [][]string{columns}
	for _, item := range list.Items {
		row := make([]string, len(columns))
		for i, name := range columns {
			row[i] = cell(item[name])
		}
		rows = append(rows, row)
	}
	if err := w.WriteAll(rows); err != nil {
		return fmt.Errorf("write a list as CSV: %w", err)
	}
	if list.Next != "" {
		query := c.Request().URI().QueryArgs()
		query.Set("cursor", list.Next)
		c.Set(fiber.HeaderLink, "<"+c.Path()+"?"+query.String()+`>; rel="next"`)
	}
	c.Set(fiber.HeaderContentType, typeCSV)
	c.Set(fiber.HeaderVary, fiber.HeaderAccept)
	return c.Send(b.Bytes())
}

// wantsCSV reports whether the query says so, or else the first type that Accept
// names.
func wantsCSV(c *fiber.Ctx) bool {
	if format := c.Query("format"); format != "" {
		return format == "csv"
	}
	first, _, _ := strings.Cut(c.Get(fiber.HeaderAccept), ",")
	first, _, _ = strings.Cut(first, ";")
	return strings.EqualFold(strings.TrimSpace(first), "text/csv")
}

// cell writes a value. A text that a spreadsheet would take for a formula gets an
// apostrophe in front, as the spreadsheets themselves have it.
func cell(value json.RawMessage) string {
	if len(value) == 0 || string(value) == "null" {
		return ""
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value) // a number, a boolean, or an object as JSON: none begins like a formula but a number
	}
	if text != "" && strings.ContainsRune("=+-@\t\r\n|%＝＋－＠", []rune(text)[0]) {
		return "'" + text
	}
	return text
}
