// Package page is belfry's own page at /, for those without Grafana: the health
// of the fleet, sites, devices with a picture of what they count and what is
// usual, and incidents with their timelines and evidence.
//
// In go requests of somebody whose token is known, out go whole pages of HTML: a
// page needs no script to be read. A small script (assets/page.js) follows the API's
// events and brings the parts that have changed. The page only looks; whoever
// works on incidents uses the API. What a token may not see is not there: it
// answers like what does not exist.
//
// The package is an http.Handler for each token, over functions that it is given.
// It knows nothing of signing in, of SQL or of listeners, and a page asks nobody but
// its own origin for anything.
package page

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

//go:embed templates assets
var files embed.FS

// Paths are the patterns of what the page answers, with :NAME for a segment.
var Paths = []string{"/", "/sites/:id", "/devices/:name", "/incidents", "/incidents/:ref", "/assets/:file"}

// Fleet is what a tenant has to show. Desk and Registry are needed; a nil
// function means that this process does not know, and the page says so.
type Fleet struct {
	Desk     *incidents.Desk
	Registry Registry
	// Health counts the devices of each site, or of one, as of an instant.
	Health func(ctx context.Context, site string, at time.Time) ([]Health, error)
	// Heard says when devices of a site (or one device) were last heard of; who
	// never was is not in it.
	Heard func(ctx context.Context, site, device string) (map[string]time.Time, error)
	// Hours returns what a device counted in each of the last hours before an
	// instant, and what is usual.
	Hours func(ctx context.Context, d telemetry.Device, s telemetry.Site, at time.Time) ([]Hour, error)
	// Vitals returns what a device said of itself in a span of whole hours.
	Vitals func(ctx context.Context, device string, from, to time.Time) (Vitals, error)
	// Lag says how far the warehouse is behind the log.
	Lag func() time.Duration

	Now func() time.Time // time.Now when nil
	Log *slog.Logger     // nil: discard
}

// Registry holds sites and devices; incidents.ErrNotFound says that one is not there.
type Registry interface {
	Sites(ctx context.Context, q incidents.SiteQuery) ([]incidents.SiteRow, error)
	Site(ctx context.Context, id string) (incidents.SiteRow, error)
	Devices(ctx context.Context, q incidents.DeviceQuery) ([]incidents.DeviceRow, error)
	Device(ctx context.Context, name string) (incidents.DeviceRow, error)
}

// SilentAfter is when the page calls a device silent. It is shorter than any
// rule's patience: the page shows, the rules judge.
const SilentAfter = time.Hour

// Health is how many active devices a site has, and how many of them speak.
type Health struct {
	Site                   string
	Devices, Silent, Never int // Silent holds those that were Never heard of
}

// Page shows a fleet.
type Page struct {
	fleet  Fleet
	assets http.Handler
}

// New returns the pages of a fleet.
func New(f Fleet) *Page {
	if f.Log == nil {
		f.Log = slog.New(slog.DiscardHandler)
	}
	if f.Now == nil {
		f.Now = time.Now
	}
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return &Page{fleet: f, assets: http.StripPrefix("/assets/", http.FileServerFS(assets))}
}

// For returns the pages as the owner of a token sees them.
func (p *Page) For(token incidents.Token) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.show(token, fleetPage, viewers))
	mux.HandleFunc("GET /sites/{id}", p.show(token, sitePage, viewers))
	mux.HandleFunc("GET /devices/{name}", p.show(token, devicePage, viewers))
	mux.HandleFunc("GET /incidents", p.show(token, incidentsPage, watchers))
	mux.HandleFunc("GET /incidents/{ref}", p.show(token, incidentPage, watchers))
	mux.HandleFunc("GET /assets/", p.asset)
	return mux
}

// asset serves what pages are dressed with; a new version of belfry brings others.
func (p *Page) asset(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, max-age=300")
	p.assets.ServeHTTP(w, r)
}

// policy lets a page use what comes from here, and no script or style within it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Who may look: the supplier sees incidents alone, a device sees nothing.
var (
	viewers  = []incidents.Role{incidents.Admin, incidents.Manager, incidents.SecondLine, incidents.FirstLine, incidents.NOC, incidents.SiteManager}
	watchers = append([]incidents.Role{incidents.ThirdLine}, viewers...)
)

// visit is one request of somebody who may look.
type visit struct {
	Fleet
	token incidents.Token
	actor incidents.Actor
	r     *http.Request
	at    time.Time
}

// show lets those look who may.
func (p *Page) show(token incidents.Token, draw func(*visit) (*sheet, error), who []incidents.Role) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
		defer cancel()
		v := &visit{Fleet: p.fleet, token: token, r: r.WithContext(ctx), at: p.fleet.Now().UTC(),
			actor: token.Actor("")}
		if token.Role == incidents.ThirdLine && r.URL.Path == "/" {
			http.Redirect(w, r, "/incidents", http.StatusSeeOther)
			return
		}
		err := incidents.ErrNotFound
		var s *sheet
		if slices.Contains(who, token.Role) {
			s, err = draw(v)
		}
		if err != nil {
			v.fail(w, err)
			return
		}
		v.write(w, http.StatusOK, s)
	}
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// sees reports whether the token may know of a site.
func (v *visit) sees(site string) bool { return v.token.Site == "" || v.token.Site == site }

// fail writes what went wrong: that there is no such thing, or that it is ours.
func (v *visit) fail(w http.ResponseWriter, err error) {
	if errors.Is(err, incidents.ErrNotFound) {
		v.write(w, http.StatusNotFound, &sheet{Title: "Not here", Name: "message", Data: "There is no such thing, or your token may not see it."})
		return
	}
	v.Log.Error("page failed", "path", v.r.URL.Path, "error", err)
	v.write(w, http.StatusInternalServerError, &sheet{Title: "That did not work", Name: "message",
		Data: "Something went wrong here. The log has it; try again in a moment."})
}
