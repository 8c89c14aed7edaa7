package analyzer

import "math"

// peersLeast is how many devices a comparison needs.
const peersLeast = 5

// leastPeerWidth keeps peers that agree to the last person from making a small
// difference a large distance.
const leastPeerWidth = 0.10

// holdAgainstPeers replaces a device's value by its place among the devices of its
// site that have one: the median of all, or its robust distance from it (RULES,
// rule 16).
func (p *pass) holdAgainstPeers(c *deviceColumn) {
	bySite := make([][]int32, len(p.fleet.Sites))
	for row, site := range p.fleet.siteOf {
		if c.value[row] == c.value[row] && p.alive[row] {
			bySite[site] = append(bySite[site], int32(row))
		} else {
			c.value[row] = missing
		}
	}
	var values []float64
	for _, rows := range bySite {
		values = values[:0]
		for _, row := range rows {
			values = append(values, c.value[row])
		}
		middle, width := missing, missing
		if len(rows) >= peersLeast {
			middle, width = c.use.sig.peers(values)
		}
		for _, row := range rows {
			if width == 0 {
				c.value[row] = middle
			} else {
				c.value[row] = (c.value[row] - middle) / width
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
