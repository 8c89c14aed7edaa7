package incidents

import "time"

// hear notes when whoever reported the incident was last told something: by a word
// from somebody else, or by a new state.
func (c *change) hear(before *Incident) {
	inc := c.inc
	said := c.kind == Comment && !c.req.Internal && !c.req.Shared && c.actor.Name != inc.Reporter
	if inc.Reporter != "" && (said || inc.State != before.State) {
		inc.LastWord = c.at
	}
}

// silentUntil returns when whoever reported the incident is told that the work goes
// on, for want of other news: after so many hours of the office as the agreement
// says. It is the zero time when nobody waits for news.
func (inc *Incident) silentUntil(b *Book) time.Time {
	if b == nil || inc.Reporter == "" || inc.LastWord.IsZero() || inc.Held.By != "" || inc.pauses() {
		return time.Time{}
	}
	a := b.agreement(SLA, 0, inc)
	if a == nil || a.Targets[inc.Priority].Update == 0 {
		return time.Time{}
	}
	return b.business().Add(inc.LastWord, minutes(a.Targets[inc.Priority].Update))
}

func (c *change) noNews() { c.inc.LastWord = c.at }
