package dashboards

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// strictly reads a dashboard by Grafana's own schema: a field that it does not
// know, one that is missing, and a value of a wrong kind are errors, in panels'
// options and queries too.
func strictly(text []byte) error {
	plugins.RegisterDefaultPlugins()
	read := func(raw []byte) (variants.Dataquery, error) {
		var q sqlQuery
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		return q, d.Decode(&q)
	}
	cog.NewRuntime().RegisterDataqueryVariant(variants.DataqueryConfig{Identifier: clickhousePlugin, DataqueryUnmarshaler: read, StrictDataqueryUnmarshaler: read})
	var d dashboard.Dashboard
	if err := d.UnmarshalJSONStrict(text); err != nil {
		return err
	}
	if err := d.Validate(); err != nil {
		return err
	}
	// Where the reader is lenient, what it does not know is not written again.
	again, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var was, is any
	if err := errors.Join(json.Unmarshal(text, &was), json.Unmarshal(again, &is)); err != nil {
		return err
	}
	if !reflect.DeepEqual(was, is) {
		return fmt.Errorf("read and written again it is another dashboard: %s", again)
	}
	return nil
}

func checkSchema(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := strictly(text); err != nil {
		t.Errorf("%s: not of the schema: %v", name, err)
	}
	for what, change := range map[string][2]string{
		"an unknown field of the dashboard": {`"uid": "belfry-`, `"colour": "red", "uid": "belfry-`},
		"an unknown field of a panel":       {`"gridPos": {`, `"frame": 1, "gridPos": {`},
		"an unknown field of bounds":        {`"thresholds": {`, `"thresholds": { "lines": 1,`},
		"an unknown field of a query":       {`"refId": "A"`, `"refID": 1, "refId": "A"`},
		"a width in words":                  {`"w": `, `"w": "wide", "was": `},
	} {
		broken := strings.Replace(string(text), change[0], change[1], 1)
		if broken == string(text) || strictly([]byte(broken)) == nil {
			t.Errorf("%s: %s is let through", name, what)
		}
	}
}
