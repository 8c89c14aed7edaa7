package api

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"belfry/incidents"
)

func TestARefusalTakesAWholeNumberOfQuanta(t *testing.T) {
	site := incidents.Token{Site: "rome"}
	for name, tt := range map[string]struct {
		token     incidents.Token
		status    int
		took, end time.Duration
	}{
		"quick":                       {site, 404, 100 * time.Microsecond, quantum},
		"a little slower":             {site, 404, 900 * time.Microsecond, quantum},
		"slow":                        {site, 422, quantum + time.Microsecond, 2 * quantum},
		"a success":                   {site, 200, time.Millisecond, time.Millisecond},
		"a supplier":                  {incidents.Token{Role: incidents.ThirdLine}, 404, time.Millisecond, quantum},
		"the desk of one site":        {incidents.Token{Role: incidents.FirstLine, Site: "rome"}, 404, time.Millisecond, quantum},
		"one who sees all":            {incidents.Token{Role: incidents.FirstLine}, 404, time.Millisecond, time.Millisecond},
		"a device":                    {incidents.Token{Role: incidents.DeviceRole}, 400, time.Millisecond, time.Millisecond},
		"what failed on its own part": {site, 503, time.Millisecond, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				<-time.After(tt.took)
				level(context.Background(), tt.token, tt.status, began)
				if got := time.Since(began); got != tt.end {
					t.Errorf("took %s; want %s", got, tt.end)
				}
			})
		})
	}
}

// TestTimeDoesNotTellWhatIsThere holds, for a token of rome, asking for what paris has
// against asking for what nobody has; and for a supplier and the NOC, for what is not at
// their level, or the desk's alone. Within the bubble work takes no time, so that what
// is left is the wait, whatever else the machine does.
func TestTimeDoesNotTellWhatIsThere(t *testing.T) {
	newHouse(t).call("noc", "GET", "/api/v1/version", "") // what libraries start once must not end with the bubble
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.call("manager", "POST", "/api/v1/announcements", `{"title":"x","text":"x"}`).want(t, 201, "ANN-000001")
		for _, paths := range [][3]string{
			{"rome", "/api/v1/incidents/INC-000001", "/api/v1/incidents/INC-000099"},
			{"rome", "/api/v1/devices/FC-1", "/api/v1/devices/FC-99"},
			{"rome", "/api/v1/sites/paris", "/api/v1/sites/paros"},
			{"third_line", "/api/v1/incidents/INC-000001", "/api/v1/incidents/INC-000099"},
			{"noc", "/api/v1/announcements/ANN-000001", "/api/v1/announcements/ANN-000099"},
		} {
			for _, path := range paths[1:] {
				began := time.Now()
				h.call(paths[0], "GET", path, "").want(t, 404, "")
				if took := time.Since(began); took != quantum {
					t.Errorf("%s as %s takes %s; want %s, hidden or not there", path, paths[0], took, quantum)
				}
			}
		}
	})
}

// TestEveryOperationKeepsSitesAndTenantsApart walks the document: for a token of
// rome in each role, an operation on what paris has answers like one on what
// nobody has; and a token of another tenant opens nothing.
func TestEveryOperationKeepsSitesAndTenantsApart(t *testing.T) {
	h := newHouse(t)
	_, secret, err := h.control.CreateToken(context.Background(), incidents.Token{Name: "x", Role: incidents.Admin, Tenant: "other"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	h.token["stranger"] = secret
	for _, role := range incidents.Roles {
		h.token["rome as "+string(role)] = h.makeToken(incidents.Token{Name: "r" + string(role), Role: role, Site: "rome"})
	}
	hidden := strings.NewReplacer("{ref}", "INC-000001", "{name}", "FC-1", "{id}", "paris")
	unknown := strings.NewReplacer("{ref}", "INC-000099", "{name}", "FC-99", "{id}", "paros")
	same := strings.NewReplacer("INC-000001", "X", "INC-000099", "X", "FC-1", "X", "FC-99", "X", "paris", "X", "paros", "X")
	for path, item := range h.document().Paths {
		for method := range item {
			method = strings.ToUpper(method)
			for _, body := range []string{"", `{}`, `{"summary":"x","text":"x","transition":"take","name":"n"}`} {
				h.call("stranger", method, hidden.Replace(path), body).want(t, 401, "not known")
				if !strings.Contains(path, "{") {
					continue
				}
				var group sync.WaitGroup // each refusal takes its quantum
				for _, role := range incidents.Roles {
					ask := func(path string) string {
						a := h.call("rome as "+string(role), method, path, body, "If-Match", `"1"`)
						return fmt.Sprint(a.StatusCode, " ", same.Replace(a.text))
					}
					group.Go(func() {
						if a, b := ask(hidden.Replace(path)), ask(unknown.Replace(path)); a != b {
							t.Errorf("%s %s with %s tells a %s of rome what paris has:\n%s\n%s", method, path, body, role, a, b)
						}
					})
				}
				group.Wait()
			}
		}
	}
}
