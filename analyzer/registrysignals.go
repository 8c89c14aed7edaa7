package analyzer

// Signals that the registry and the calendars alone answer.

func fillInterval(p *pass, c *deviceColumn) {
	for row := range c.value {
		seconds, beat := p.fleet.reading[row], float64(p.fleet.Devices[row].HeartbeatEvery)
		switch c.use.word {
		case "heartbeat":
			seconds = beat
		case "":
			seconds = max(seconds, beat)
		}
		if c.value[row] = missing; seconds > 0 {
			c.value[row] = seconds
		}
	}
}

// fillSites counts each site at the first of its devices in service.
func fillSites(p *pass, c *deviceColumn) {
	seen := make([]bool, len(p.fleet.Sites))
	for row, site := range p.fleet.siteOf {
		if c.value[row] = 0; p.alive[row] && !seen[site] {
			seen[site], c.value[row] = true, 1
		}
	}
}

func fillDevices(_ *pass, c *deviceColumn) { fillWith(c.value, 1) }

func fillOpenFor(p *pass, c *deviceColumn) {
	byCalendar := make([]float64, len(p.fleet.calendars))
	for i, calendar := range p.fleet.calendars {
		for _, o := range calendar.day(p.at).Open {
			if !p.at.Before(o.From) && p.at.Before(o.To) {
				byCalendar[i] = p.at.Sub(o.From).Seconds()
			}
		}
	}
	for row := range c.value {
		c.value[row] = byCalendar[p.fleet.calendarOfDevice(row)]
	}
}
