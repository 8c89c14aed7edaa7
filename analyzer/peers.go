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

// holdAgainstPeers replaces a device's value by its place among its peers that have
// one, itself included: the median of all, or its robust distance from it (RULES,
// rule 16). A width is at least the device's own, where that is given.
func (p *pass) holdAgainstPeers(u use, value []float64, own []float32, of func([]float64) (middle, width float64)) {
	groupOf, groups := p.among(u.among)
	byGroup := make([][]int32, groups)
	for row, group := range groupOf {
		if value[row] == value[row] && p.alive[row] && group >= 0 {
			byGroup[group] = append(byGroup[group], int32(row))
		} else {
			value[row] = missing
		}
	}
	var values []float64
	for _, rows := range byGroup {
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

// Of the last six bins three must be outliers, and of the peers fewer than
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
		p.holdAgainstPeers(c.use, column, own, peerDistance)
	}
	groupOf, groups := p.among(c.use.among)
	peers, flagged := make([]int, groups), make([]int, groups)
	distances := make([]float64, 0, len(c.recent))
	for row, group := range groupOf {
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
		if peers[group]++; c.value[row] > 1 { // it has distances, so it has a group
			flagged[group]++
		}
	}
	for row, group := range groupOf {
		if c.value[row] > 1 && float64(flagged[group]) >= outlierCrowd*float64(peers[group]) {
			c.value[row] = 0
		}
	}
}
