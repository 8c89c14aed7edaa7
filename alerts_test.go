package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestTheAlertsDoWhatTheirCasesSay runs Prometheus' own tests of the rules, and
// holds that each alert and each recording rule has a case.
func TestTheAlertsDoWhatTheirCasesSay(t *testing.T) {
	dir := filepath.Join("deploy", "prometheus")
	rules, err := os.ReadFile(filepath.Join(dir, "belfry.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile(filepath.Join(dir, "belfry.rules.test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	everyRuleHasACase(t, rules, cases)
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; make setup-tests brings it")
	}
	for _, args := range [][]string{{"check", "rules", "belfry.rules.yaml"}, {"test", "rules", "belfry.rules.test.yaml"}, {"check", "config", "prometheus.example.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	amtool, err := exec.LookPath("amtool")
	if err != nil {
		t.Log("amtool is not installed: the Alertmanager example is not checked")
		return
	}
	if out, err := exec.Command(amtool, "check-config", filepath.Join(dir, "alertmanager.example.yml")).CombinedOutput(); err != nil {
		t.Errorf("amtool: %v\n%s", err, out)
	}
}

// everyRuleHasACase holds that each alert has a case in which it fires, that a
// healthy belfry, on which none does, is a case too, and that each recording rule
// has one that says its value.
func everyRuleHasACase(t *testing.T, rules, cases []byte) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Record string }
		}
	}
	var tried struct {
		Tests []struct {
			Alerts []struct {
				Name string           `yaml:"alertname"`
				Want []map[string]any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Values []struct {
				Expr string
				Want []map[string]any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := errors.Join(yaml.Unmarshal(rules, &file), yaml.Unmarshal(cases, &tried)); err != nil {
		t.Fatal(err)
	}
	fires, said := map[string]bool{}, ""
	for _, c := range tried.Tests {
		for _, a := range c.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Want) > 0
		}
		for _, v := range c.Values {
			if len(v.Want) > 0 {
				said += v.Expr + "\n"
			}
		}
	}
	if !strings.Contains(said, "count(ALERTS) or vector(0)") {
		t.Error("there is no case in which all alerts are silent")
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" && !fires[r.Alert] && !strings.Contains(said, `alertname="`+r.Alert+`",alertstate="firing"`) {
				t.Errorf("alert %s fires in no case", r.Alert)
			}
			if r.Record != "" && !strings.Contains(said, r.Record) {
				t.Errorf("recording rule %s has no case", r.Record)
			}
		}
	}
}
