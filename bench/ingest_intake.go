package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// IntakeOptions say where readings are posted to.
type IntakeOptions struct {
	URL      string // of a belfry, without a path
	Token    string
	PID      int // of that belfry, whose CPU time and memory count too
	Readings int // to be sent: 500,000
	Devices  int // that send them in turn: 10,000
}

// IntakeReport is how fast one client got its readings into the log by HTTP, one
// request after another, by a belfry that carried them on into its warehouse.
type IntakeReport struct {
	Readings int  `json:"readings"`
	Batch    int  `json:"batch"` // readings of a request
	Pace     Pace `json:"pace"`
}

const intakeBatch = 1000

// Intake posts batches of NDJSON and insists that the log acknowledges every
// reading.
func Intake(ctx context.Context, o IntakeOptions) (*IntakeReport, error) {
	if o.Readings == 0 {
		o.Readings = 500_000
	}
	if o.Devices == 0 {
		o.Devices = 10_000
	}
	bodies := intakeBodies(o)
	post := func(list [][]byte) error {
		for _, body := range list {
			if err := o.post(ctx, body); err != nil {
				return err
			}
		}
		return nil
	}
	if err := post(bodies[:len(bodies)/10+1]); err != nil { // the devices are known then
		return nil, err
	}
	p, err := pace(len(bodies)*intakeBatch, func() error { return post(bodies) }, o.PID)
	return &IntakeReport{len(bodies) * intakeBatch, intakeBatch, p}, err
}

// intakeBodies are made before anything is measured. Their readings are of now.
func intakeBodies(o IntakeOptions) (bodies [][]byte) {
	b := ingestBench{o: IngestOptions{Devices: o.Devices}}
	shift := time.Now().Add(-time.Duration(o.Readings/o.Devices) * 15 * time.Minute).Truncate(time.Second).Sub(start)
	for i := 0; i < o.Readings; i += intakeBatch {
		var body []byte
		for k := range intakeBatch {
			r := b.reading(i + k)
			r.at = r.at.Add(shift)
			body = append(r.object(body), '\n')
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func (o *IntakeOptions) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, "POST", o.URL+"/api/v1/telemetry", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+o.Token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("post readings: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("post readings: %w", err)
	}
	var got struct{ Accepted int }
	if json.Unmarshal(answer, &got) != nil || res.StatusCode != http.StatusAccepted || got.Accepted != intakeBatch {
		return fmt.Errorf("post %d readings: %s: %.200s", intakeBatch, res.Status, answer)
	}
	return nil
}

func (r *IntakeReport) print(out io.Writer) {
	fmt.Fprintf(out, "intake: %d readings by HTTP, %d a request, one client\n%-38s %12s %16s %12s\n", r.Readings, r.Batch, "", "readings/s", "CPU ns/reading", "resident MB")
	fmt.Fprintf(out, "  %-36s %12.0f %16.0f %12d\n", "into the log, and on to the warehouse", r.Pace.PerSecond, r.Pace.CPUNanos, r.Pace.Memory>>20)
}
