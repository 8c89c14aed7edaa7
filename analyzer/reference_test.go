package analyzer

import (
	"strings"
	"testing"
)

func TestTheReferenceNamesEverything(t *testing.T) {
	text := Reference()
	for _, k := range ruleKeys {
		if !strings.Contains(text, "| `"+k.name+"` |") || k.about == "" {
			t.Errorf("the key %s is not explained", k.name)
		}
	}
	for _, s := range signals {
		if !strings.Contains(text, "| `"+s.name+"(") || s.about == "" {
			t.Errorf("the signal %s is not explained", s.name)
		}
		if s.column == nil && s.bins == nil && s.fill == nil && s.share == nil && !s.raw {
			t.Errorf("nothing computes the signal %s", s.name)
		}
	}
	if !strings.Contains(text, "`sum(in\\|out\\|total, W)` | a count |") {
		t.Errorf("the form of sum is not shown:\n%s", text)
	}
}
