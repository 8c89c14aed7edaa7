package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheAlertsDoWhatTheirCasesSay runs Prometheus' own tests of the rules, and
// holds that each alert has a case.
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
	for _, m := range regexp.MustCompile(`(?m)- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !strings.Contains(string(cases), m[1]) {
			t.Errorf("alert %s has no case", m[1])
		}
	}
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
