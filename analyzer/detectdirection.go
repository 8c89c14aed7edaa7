package analyzer

import "math"

// deadLeast is how many people the other flow must count in the run.
const deadLeast = 50

// scoreDeadDirection looks for the run, up to the last bin, in which one flow is
// zero; bins without people, without readings or behind closed doors are passed over
// (after closing people only leave). When the flow
// usually has the share s of all people, that N of them all took the other way has
// the chance (1 − s)^N. The score is −N·ln(1 − s) over 13.8, and below 1 while N is
// less than 50 (RULES, rule 7). Above 1 it is looked at closer, by local hours.
func scoreDeadDirection(h *history, _ use) (score float64, began int) {
	if h.known == nil {
		return missing, never
	}
	share := float64(h.known.share[h.row])
	if share != share {
		return missing, never
	}
	in, inBegan := h.dead(flowIn, flowOut, share, carryIn)
	out, outBegan := h.dead(flowOut, flowIn, 1-share, carryOut)
	if out > in {
		in, inBegan = out, outBegan
	}
	if in >= 1 {
		return unsure, inBegan
	}
	return in, inBegan
}

// scoreDeadByHour is scoreDeadDirection with what is habitual at the hours of the run, as
// the weeks before it have it: in the morning people come into an office and none leaves.
func scoreDeadByHour(h *history, _ use) (score float64, began int) {
	in, inBegan := h.deadByHour(flowIn, flowOut)
	out, outBegan := h.deadByHour(flowOut, flowIn)
	if !(in >= out) {
		return out, outBegan
	}
	return in, inBegan
}

// hourDoubt is for how many people of an hour of the day the share of all hours counts.
const hourDoubt = 10

func (h *history) deadByHour(silent, other int) (score float64, began int) {
	last := h.bins() - 1 // in which the silent flow was seen
	for last >= 0 && h.x(silent, last) == 0 {
		last--
	}
	var of, all [24]float64 // by hour of the day: a week of them is known after days
	ofAll, everyone := 0.0, 0.0
	for i := range last + 1 {
		if hour := h.slot[i] % 24; h.learn[i] {
			of[hour], all[hour] = of[hour]+h.x(silent, i), all[hour]+h.x(flowTotal, i)
			ofAll, everyone = ofAll+h.x(silent, i), everyone+h.x(flowTotal, i)
		}
	}
	if everyone == 0 {
		return missing, never
	}
	n, chance := 0.0, 0.0 // −ln of it
	began = never
	for i := h.bins() - 1; i > last; i-- {
		if v := h.x(other, i); v > 0 && !h.shut[i] {
			hour := h.slot[i] % 24
			share := (of[hour] + hourDoubt*ofAll/everyone) / (all[hour] + hourDoubt)
			n, chance, began = n+v, chance-v*math.Log(max(1-share, 1e-9)), i
		}
	}
	return min(chance/improbable, n/deadLeast), began
}

func (h *history) dead(silent, other int, share float64, carried int) (score float64, began int) {
	n, began := h.onlyOther(silent, other, carried)
	return min(-n*math.Log(max(1-share, 1e-9))/improbable, n/deadLeast), began
}

// onlyOther counts the people of one flow since the other was last seen, while the site was open.
func (h *history) onlyOther(silent, other, carried int) (n float64, began int) {
	began = never
	i := h.bins() - 1
	for ; i >= h.today && h.x(silent, i) == 0; i-- {
		if v := h.x(other, i); v > 0 && !h.shut[i] {
			n, began = n+v, i
		}
	}
	if c := h.known.carried[h.row].of(carried); i < h.today && c.sum > 0 {
		return n + c.sum, h.binAt(c.began)
	}
	return n, began
}

// alike is how much the profiles of IN and OUT must differ, over what both expect,
// before they can be told apart.
const alike = 0.10

// scoreSwapped compares, for each of the last two whole local days, how well IN
// and OUT fit each other's baselines and their own: LLR = (1/φ)·Σ[lnP(in;B_out) +
// lnP(out;B_in) − lnP(in;B_in) − lnP(out;B_out)] with lnP(x;λ) = x·lnλ − λ, which is
// (1/φ)·Σ(in − out)·ln(B_out/B_in). The score is the lesser of both days' LLR over
// 10; days that are not complete, or whose profiles are alike, have none (RULES,
// rule 9).
func scoreSwapped(h *history, _ use) (score float64, began int) {
	score = math.Inf(1)
	for back := range 2 {
		d, ok := h.lastDay(back)
		if !ok || !h.completeDay(d) {
			return missing, never
		}
		score, began = min(score, h.swapped(d)/10), d.lo
	}
	return score, began
}

func (h *history) swapped(d dayBins) float64 {
	llr, apart, all := 0.0, 0.0, 0.0
	for i := d.lo; i < d.hi; i++ {
		in, out := h.baseline(flowIn, i), h.baseline(flowOut, i)
		if in != in || out != out || !h.complete(i) {
			continue
		}
		apart, all = apart+math.Abs(in-out), all+in+out
		llr += (h.in[i] - h.out[i]) * math.Log(max(out, 0.5)/max(in, 0.5))
	}
	if all == 0 {
		return missing
	}
	if apart < alike*all {
		return 0
	}
	return llr / float64(h.known.phi[h.row])
}

// scoreUsualDay is the people of a usual day, by the habitual share of IN.
func scoreUsualDay(h *history, u use) (float64, int) {
	if h.known == nil {
		return missing, never
	}
	daily, lean := float64(h.known.daily[h.row]), float64(h.known.lean[h.row])
	switch flowOf(u.word) {
	case flowIn:
		return daily * (1 + lean) / 2, never
	case flowOut:
		return daily * (1 - lean) / 2, never
	}
	return daily, never
}

// scoreUsualSway is how far IN − OUT of a usual day lies from what the habitual share
// makes of it.
func scoreUsualSway(h *history, _ use) (float64, int) {
	if h.known == nil {
		return missing, never
	}
	return float64(h.known.daily[h.row] * h.known.sway[h.row]), never
}
