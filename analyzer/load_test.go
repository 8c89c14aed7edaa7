package analyzer

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBadFilesSayEverythingThatIsWrong(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files (%v)", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			_, err := Load(File{filepath.Base(path), readFile(t, path)})
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v; want Faults", err)
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(readFile(t, golden)), err.Error()+"\n"); diff != "" {
				t.Errorf("faults differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheWholeLanguageLoads(t *testing.T) {
	rules, err := Load(File{"language.yaml", readFile(t, "testdata/good/language.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(rules.Rules), 5; got != want {
		t.Errorf("got %d rules; want %d", got, want)
	}
	if rules.Rule("few-people").Group != "region" || rules.Rule("nobody") != nil {
		t.Error("rules are not found by their names")
	}
}

func TestNamesAreUniqueOverFiles(t *testing.T) {
	rule := []byte("rules: [{ name: a, scope: device, every: 5m, category: x, when: silence() > 72h }]")
	_, err := Load(File{"one.yaml", rule}, File{"two.yaml", rule})
	want := `two.yaml:1:17: a rule named "a" stands already at one.yaml:1:17; want another name`
	if err == nil || err.Error() != want {
		t.Errorf("got %v; want %s", err, want)
	}
}

func TestLayoutAndCommentsDoNotChangeTheHash(t *testing.T) {
	one := mustLoad(t, "rules: [{ name: a, scope: device, every: 5m, category: x, when: silence() > 72h }]")
	two := mustLoad(t, "# moved\nrules:\n- name: a\n  when: silence() > 72h # three days\n  category: x\n  every: 300s\n  scope: device\n")
	three := mustLoad(t, "rules: [{ name: a, scope: device, every: 5m, category: x, when: silence() > 73h }]")
	if a, b := one.Rules[0].Hash, two.Rules[0].Hash; a != b || a == "" {
		t.Errorf("hashes %q and %q of the same rule", a, b)
	}
	if one.Rules[0].Hash == three.Rules[0].Hash {
		t.Error("another limit has the same hash")
	}
}

func TestHostileFilesAreRefused(t *testing.T) {
	for name, data := range map[string]string{
		"deep flow":       strings.Repeat("[", 100_000),
		"deep block":      "rules:\n" + strings.Repeat(" ", 5_000) + "- x",
		"large":           strings.Repeat("#\n", maxFile),
		"not UTF-8":       "rules: \xff",
		"many keys":       "rules:\n" + strings.Repeat("a: b\n", 100_000),
		"zero byte":       "rules: \x00",
		"deep expression": "rules: [{ name: a, scope: device, every: 5m, category: x, when: " + strings.Repeat("(", 5000) + " }]",
		"long expression": "rules: [{ name: a, scope: device, every: 5m, category: x, when: 1" + strings.Repeat("+1", 5000) + " > 1 }]",
	} {
		if _, err := Load(File{"hostile.yaml", []byte(data)}); err == nil {
			t.Errorf("%s: loaded", name)
		} else if len(err.Error()) > 2000 {
			t.Errorf("%s: an answer of %d bytes", name, len(err.Error()))
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.yaml", "catalogue/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			f.Add(readFile(f, path))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := Load(File{"fuzz.yaml", data})
		if err == nil && rules == nil || err != nil && !errors.As(err, new(Faults)) {
			t.Fatalf("rules %v, error %v", rules, err)
		}
		if err == nil {
			for _, r := range rules.Rules {
				compile(r, make([]bool, len(r.Params)))
			}
		}
	})
}
