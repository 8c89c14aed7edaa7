package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// APIOptions say which API is measured, and how.
type APIOptions struct {
	URL, Token string
	Incidents  int           // how many there are
	Rate       float64       // requests a second
	For        time.Duration // how long they are sent
	Newest     time.Time     // about when the newest incidents changed
	Mirrored   float64       // events a second that were copied into the warehouse before
}

// APIReport says how long lists took. Times are counted from when a request was
// due, not from when it was sent: while one stalls, those behind it wait too.
type APIReport struct {
	Incidents int        `json:"incidents"`
	Wanted    float64    `json:"requests_per_second_wanted"`
	Sent      float64    `json:"requests_per_second"`
	Requests  int        `json:"requests"`
	Failed    int        `json:"failed"`
	Stall     float64    `json:"longest_stall_ms"` // the longest time in which no answer came
	Mirrored  float64    `json:"mirrored_events_per_second"`
	All       APITimes   `json:"all"`
	Lists     []APITimes `json:"lists"`
	Goal      string     `json:"goal"`
}

// APITimes are the times of one sort of list.
type APITimes struct {
	List     string  `json:"list"`
	Requests int     `json:"requests"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`
	Rows     int     `json:"rows"` // of one answer
}

// lists are what people and tools ask for: each filter, and filters together.
func (o APIOptions) lists() []string {
	since := url.QueryEscape(o.Newest.Add(-10 * time.Minute).UTC().Format(time.RFC3339))
	return []string{"", "site=site-0007", "device=FC-000123", "state=in_progress", "category=data_gap", "level=2", "priority=1", "assignee=p7", "sla=breached",
		"q=site-0031", "updated_since=" + since, "site=site-0007&state=closed", "category=clock_skew&state=in_progress&priority=2", "assignee=p3&sla=met",
		"state=closed&priority=3&level=1", "q=silent&site=site-0100", "updated_since=" + since + "&state=in_progress", "assignee=p9&category=suspected_offline&state=in_progress"}
}

// answered is one request that has its answer.
type answered struct {
	list  int
	due   time.Time
	at    time.Time
	rows  int
	fault error
}

// API asks for lists at a fixed rate, in turn, and measures how long they take.
func API(ctx context.Context, o APIOptions) (*APIReport, error) {
	lists := o.lists()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	for i := range lists { // caches are warm, as they are at work
		if a := ask(ctx, client, o, lists[i]); a.fault != nil {
			return nil, a.fault
		}
	}
	n := int(o.Rate * o.For.Seconds())
	all := make([]answered, n)
	var group sync.WaitGroup
	begin := time.Now()
	for i := range all {
		due := begin.Add(time.Duration(float64(i) / o.Rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Until(due)):
		}
		group.Go(func() {
			all[i] = ask(ctx, client, o, lists[i%len(lists)])
			all[i].list, all[i].due = i%len(lists), due
		})
	}
	sent := time.Since(begin)
	group.Wait()
	r := o.report(lists, all)
	r.Sent = float64(n) / sent.Seconds()
	return r, nil
}

func ask(ctx context.Context, client *http.Client, o APIOptions, query string) (a answered) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+"/api/v1/incidents?limit=20&"+query, nil)
	if err != nil {
		return answered{fault: err}
	}
	req.Header.Set("Authorization", "Bearer "+o.Token)
	resp, err := client.Do(req)
	if err != nil {
		return answered{at: time.Now(), fault: err}
	}
	defer resp.Body.Close()
	var page struct {
		Items []json.RawMessage `json:"items"`
	}
	err = json.NewDecoder(resp.Body).Decode(&page)
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("list %q: %s", query, resp.Status)
	}
	return answered{at: time.Now(), rows: len(page.Items), fault: err}
}

func (o APIOptions) report(lists []string, all []answered) *APIReport {
	r := &APIReport{Incidents: o.Incidents, Wanted: o.Rate, Requests: len(all), Mirrored: o.Mirrored, Goal: "p99 <= 20 ms at 200 requests/s over a million incidents"}
	times, ends, each := []time.Duration{}, []time.Time{}, make([][]time.Duration, len(lists))
	rows := make([]int, len(lists))
	for _, a := range all {
		if a.fault != nil {
			r.Failed++
			continue
		}
		took := a.at.Sub(a.due)
		times, ends = append(times, took), append(ends, a.at)
		each[a.list], rows[a.list] = append(each[a.list], took), a.rows
	}
	r.All = timesOf("all", times)
	for i, list := range lists {
		t := timesOf(list, each[i])
		t.Rows = rows[i]
		r.Lists = append(r.Lists, t)
	}
	slices.SortFunc(ends, time.Time.Compare)
	for i := 1; i < len(ends); i++ {
		r.Stall = max(r.Stall, millisOf(ends[i].Sub(ends[i-1])))
	}
	return r
}

func millisOf(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func timesOf(list string, times []time.Duration) APITimes {
	t := APITimes{List: list, Requests: len(times)}
	if len(times) == 0 {
		return t
	}
	slices.Sort(times)
	t.P50, t.P99, t.Max = millisOf(times[len(times)/2]), millisOf(times[(len(times)*99)/100]), millisOf(times[len(times)-1])
	return t
}

// Print implements Report.
func (r *APIReport) Print(out io.Writer) {
	fmt.Fprintf(out, "lists of incidents: %d incidents, %d requests, %.0f a second (%.0f wanted), %d failed\n", r.Incidents, r.Requests, r.Sent, r.Wanted, r.Failed)
	fmt.Fprintf(out, "%-72s %6s %9s %9s %9s\n", "", "rows", "p50 ms", "p99 ms", "max ms")
	for _, t := range append(r.Lists, r.All) {
		name := t.List
		if name == "" {
			name = "the newest"
		}
		fmt.Fprintf(out, "  %-70s %6d %9.1f %9.1f %9.1f\n", name, t.Rows, t.P50, t.P99, t.Max)
	}
	fmt.Fprintf(out, "longest time without an answer: %.1f ms; goal: %s\n", r.Stall, r.Goal)
	fmt.Fprintf(out, "before that, %.0f events a second were copied into the warehouse\n", r.Mirrored)
}
