package warehouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// size reports how large a database is and what is to be done in it, when it is
// asked.
type size struct{ w *Warehouse }

var (
	bytesDesc  = prometheus.NewDesc("belfry_warehouse_bytes", "Bytes on disk of the warehouse's tables, by table.", []string{"table"}, nil)
	rowsDesc   = prometheus.NewDesc("belfry_warehouse_rows", "Rows of the warehouse's tables, those included that the next merge will take away.", []string{"table"}, nil)
	partsDesc  = prometheus.NewDesc("belfry_warehouse_parts", "Parts of the warehouse's tables; merging keeps them few.", []string{"table"}, nil)
	mergesDesc = prometheus.NewDesc("belfry_warehouse_merges", "Merges of parts under way.", nil, nil)
	staleDesc  = prometheus.NewDesc("belfry_warehouse_aggregates_stale", "Hours of a 64th of the devices that readings came for since the table of hours was made of them. They are right all the same, and slower to ask for.", nil, nil)
	lagDesc    = prometheus.NewDesc("belfry_warehouse_aggregates_lag_seconds", "How long the hour that waits longest has waited since its last reading came.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s size) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{bytesDesc, rowsDesc, partsDesc, mergesDesc, staleDesc, lagDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s size) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	tables, err := s.w.Tables(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(bytesDesc, err)
		return
	}
	for _, t := range tables {
		gauge(bytesDesc, float64(t.Bytes), t.Name)
		gauge(rowsDesc, float64(t.Rows), t.Name)
		gauge(partsDesc, float64(t.Parts), t.Name)
	}
	out, err := s.w.Query(ctx, "work", "SELECT (SELECT count() FROM system.merges WHERE database = '{db}'), count(),"+
		" if(count() = 0, 0, greatest(0, now() - min(touched))) FROM {db}.raw_stale", "TSV", nil)
	var merges, stale, lag float64
	if err == nil {
		_, err = fmt.Sscan(string(out), &merges, &stale, &lag)
	}
	if err != nil {
		ch <- prometheus.NewInvalidMetric(staleDesc, fmt.Errorf("read what is to be done: %w", err))
		return
	}
	gauge(mergesDesc, merges)
	gauge(staleDesc, stale)
	gauge(lagDesc, lag)
}

// Table is how large a table is.
type Table struct {
	Name               string
	Rows, Bytes, Parts int64
}

// Tables returns the tables of the database that hold something.
func (w *Warehouse) Tables(ctx context.Context) (tables []Table, err error) {
	out, err := w.Query(ctx, "size", "SELECT table AS Name, sum(rows) AS Rows, sum(bytes_on_disk) AS Bytes, count() AS Parts FROM system.parts"+
		" WHERE active AND database = '{db}' GROUP BY table ORDER BY table SETTINGS output_format_json_quote_64bit_integers = 0", "JSONEachRow", nil)
	if err != nil {
		return nil, err
	}
	for rows := json.NewDecoder(bytes.NewReader(out)); ; {
		var t Table
		if err := rows.Decode(&t); errors.Is(err, io.EOF) {
			return tables, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the sizes of tables: %w", err)
		}
		tables = append(tables, t)
	}
}
