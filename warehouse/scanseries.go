package warehouse

import (
	"context"
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/analyzer"
)

// Series answers an analyzer's series; it is an analyzer.SeriesQuery. One
// statement reads the counts of the span once.
func (w *Warehouse) Series(ctx context.Context, s analyzer.Series) (arrow.Record, error) {
	sql, params := seriesSQL(s)
	out, err := w.Query(ctx, "series", sql, "ArrowStream", params)
	if err != nil {
		return nil, err
	}
	r, err := readArrow(out)
	if err != nil {
		return nil, fmt.Errorf("read the bins of a series: %w", err)
	}
	return r, nil
}

// seriesSQL writes a series as one SELECT: of each reading the version that
// counts, and over them a grouping by device and bin. A device's bins come in the
// order of its days, so that the grouping needs no more memory than its result.
func seriesSQL(s analyzer.Series) (sql string, params map[string]string) {
	top := s.AsOf.Add(ahead)
	to := s.To
	if to.After(top) {
		to = top
	}
	return "SELECT device, toUInt32(intDiv(toUnixTimestamp64Milli(ts) - {from:Int64} - 1, {step:Int64})) AS bin," +
			" toFloat64(sum(tupleElement(last, 1))) AS `in`, toFloat64(sum(tupleElement(last, 2))) AS `out`, toFloat64(count()) AS rows" +
			" FROM (SELECT device, ts, argMax(" + counts.last + ", (delay, offset)) AS last FROM {db}." + counts.table +
			" WHERE " + arrived + " <= {asof:Int64} AND device >= {first:UInt64} AND device <= {last:UInt64} AND " + between(s.From, to) +
			" GROUP BY toDate(ts), device, ts) GROUP BY device, bin ORDER BY device, bin" +
			" SETTINGS output_format_arrow_compression_method = 'none', optimize_aggregation_in_order = 1",
		map[string]string{"asof": millis(s.AsOf), "from": millis(s.From), "step": strconv.FormatInt(s.Step.Milliseconds(), 10),
			"first": strconv.FormatUint(uint64(s.First), 10), "last": strconv.FormatUint(uint64(s.Last), 10)}
}
