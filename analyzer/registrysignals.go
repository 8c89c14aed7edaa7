package analyzer

// Signals that the registry and the calendars alone answer.

func fillInterval(p *pass, c *deviceColumn) {
	for row := range c.value {
		seconds := p.fleet.reading[row]
		if c.use.word == "heartbeat" {
			seconds = float64(p.fleet.Devices[row].HeartbeatEvery)
		}
		if c.value[row] = missing; seconds > 0 {
			c.value[row] = seconds
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
