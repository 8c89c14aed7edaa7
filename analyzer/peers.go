package analyzer

import (
	"math"
	"slices"
)

// peersLeast is how many devices a comparison needs.
const peersLeast = 5

// leastPeerWidth keeps peers that agree to the last person from making a small
// difference a large distance.
const leastPeerWidth = 0.10

// holdAgainstPeers replaces a device's value by its place among the devices of its
// site that have one: the median of all, or its robust distance from it (RULES,
// rule 16). A width is at least the device's own, where that is given.
func (p *pass) holdAgainstPeers(value []float64, own []float32, of func([]float64) (middle, width float64)) {
	bySite := make([][]int32, len(p.fleet.Sites))
	for row, site := range p.fleet.siteOf {
		if value[row] == value[row] && p.alive[row] {
			bySite[site] = append(bySite[site], int32(row))
		} else {
			value[row] = missing
		}
	}
	var values []float64
	for _, rows := range bySite {
		values = values[:0]
		for _, row := range rows {
			values = append(values, value[row])
		}
		middle, width := missing, missing
		if len(rows) >= peersLeast {
			middle, width = of(values)
		}
		for _, row := range rows {
			switch {
			case width == 0:
				value[row] = middle
			case own != nil:
				value[row] = (value[row] - middle) / max(width, float64(own[row]))
			default:
				value[row] = (value[row] - middle) / width
			}
		}
	}
}

// peerMedian gives the middle, and no width: the value itself is asked for.
func peerMedian(values []float64) (middle, width float64) { return median(values), 0 }

// peerDistance gives the middle and the robust deviation around it.
func peerDistance(values []float64) (middle, width float64) {
	middle, mad := medianAndMAD(values)
	return middle, math.Max(madToSigma*mad, leastPeerWidth)
}

// Of the last six bins three must be outliers, and of the site's devices fewer than
// three in ten: more of them are an event, and none is out of line (RULES, rule 16).
const (
	outlierDistance = 5
	outlierTimes    = 3
	outlierCrowd    = 0.30
)

// findOutliers makes of a column's recent bins how far each device is out of line. It is
// so when it is that far from its peers for their width and for its own: a device whose
// hours always vary more than those of the others is not out of line by that.
func (p *pass) findOutliers(c *deviceColumn) {
	var own []float32
	for _, l := range p.learnt {
		own = l.rough // the calendars share one knowledge
	}
	for _, column := range c.recent {
		p.holdAgainstPeers(column, own, peerDistance)
	}
	peers, flagged := make([]int, len(p.fleet.Sites)), make([]int, len(p.fleet.Sites))
	distances := make([]float64, 0, len(c.recent))
	for row, site := range p.fleet.siteOf {
		distances = distances[:0]
		for _, column := range c.recent {
			if v := math.Abs(column[row]); v == v {
				distances = append(distances, v)
			}
		}
		if c.value[row] = missing; len(distances) < outlierTimes {
			continue
		}
		slices.Sort(distances)
		c.value[row] = distances[len(distances)-outlierTimes] / outlierDistance
		if peers[site]++; c.value[row] > 1 {
			flagged[site]++
		}
	}
	for row, site := range p.fleet.siteOf {
		if c.value[row] > 1 && float64(flagged[site]) >= outlierCrowd*float64(peers[site]) {
			c.value[row] = 0
		}
	}
}
