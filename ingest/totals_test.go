package ingest

import (
	"fmt"
	"strings"
	"testing"

	"belfry/telemetry"

	"github.com/apache/arrow/go/v17/arrow"
)

func TestWhatCumulativeCountersShow(t *testing.T) {
	a := strings.ToUpper(fmt.Sprintf("%x", uint64(telemetry.IDOf("a"))>>48))
	at := a + " 2026-03-27T11:00:00Z "
	for name, c := range map[string]struct{ members, want string }{
		"both":                                   {`"in_total":70000,"out_total":69000`, "total " + at + "in=70000 out=69000 modulus=0\n"},
		"one of them":                            {`"in_total":5`, "total " + at + "in=5 out=-1 modulus=0\n"},
		"with their modulus":                     {`"out_total":99,"modulus":100,"kind":"count"`, "total " + at + "in=-1 out=99 modulus=100\n"},
		"the last of equal members":              {`"in_total":"x","in_total":6`, "total " + at + "in=6 out=-1 modulus=0\n"},
		"a null is not there":                    {`"in_total":6,"out_total":null,"modulus":null`, "total " + at + "in=6 out=-1 modulus=0\n"},
		"a count says what it counted":           {`"in":3,"in_total":6`, "count " + at + "in=3 out=0 every=60\n"},
		"in a heartbeat they are measurements":   {`"kind":"heartbeat","in_total":6`, "heartbeat " + at + "fw=\"\" in_total=6\n"},
		"a modulus alone is one too":             {`"modulus":6`, "heartbeat " + at + "fw=\"\" modulus=6\n"},
		"text is not a number":                   {`"in_total":"12"`, BadIn},
		"text is not a number, after one":        {`"in_total":12,"in_total":"12"`, BadIn},
		"a fraction":                             {`"out_total":1.5`, BadOut},
		"below zero":                             {`"in_total":-1`, BadIn},
		"beyond what a number holds":             {`"in_total":9007199254740993`, BadIn},
		"a counter beyond its modulus":           {`"in_total":100,"modulus":100`, BadIn},
		"a modulus that is none":                 {`"in_total":1,"modulus":1`, BadMember},
		"more numbers than a message may have":   {strings.Repeat(`"x":1,`, 0) + many(MaxMeasures) + `,"in_total":1,"kind":"count"`, BadIn},
		"more numbers, and the total among them": {`"in_total":1,` + many(MaxMeasures), BadMember},
	} {
		b, rejects := decode(`{"device":"a","ts":1774609200000,` + c.members + `}`)
		got := show(&b)
		if len(rejects) > 0 {
			got = rejects[0].Reason
		}
		if !strings.EqualFold(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// many writes n members with names of their own.
func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"m%d":1`, i))
	}
	return strings.Join(list, ",")
}

func TestTotalsInArrow(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "ts", Type: arrow.PrimitiveTypes.Int64},
		{Name: "in_total", Type: arrow.PrimitiveTypes.Float64, Nullable: true}}, nil)
	b, rejects := decodeArrow(stream(t, schema, `[{"device":"a","ts":1774609200000,"in_total":7},{"device":"a","ts":1774609200000,"in_total":8},
		{"device":"b","ts":1774609200000,"in_total":0.5}]`))
	if b.Totals.Len() != 1 || b.Totals.In[0] != 8 || len(rejects) != 1 || rejects[0].Reason != BadIn {
		t.Errorf("got %s and %v; want one total of 8 and one refusal", show(&b), rejects)
	}
	text := arrow.NewSchema([]arrow.Field{{Name: "device", Type: arrow.BinaryTypes.String}, {Name: "ts", Type: arrow.PrimitiveTypes.Int64},
		{Name: "in_total", Type: arrow.BinaryTypes.String}}, nil)
	if _, rejects := decodeArrow(stream(t, text, `[{"device":"a","ts":1774609200000,"in_total":"7"}]`)); len(rejects) != 1 || rejects[0].Reason != BadArrow {
		t.Errorf("totals as text: %v; want bad_arrow", rejects)
	}
}
