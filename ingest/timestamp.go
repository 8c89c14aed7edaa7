package ingest

// Bounds of a reading's time.
const (
	oldest     = 946_684_800_000   // 2000-01-01T00:00:00Z, milliseconds since 1970
	beyond     = 4_102_444_800_000 // 2100-01-01T00:00:00Z: whatever its record's timestamp says
	aheadLimit = 24 * 3600 * 1000
)

// parseTime reads an RFC 3339 time with any offset and any number of decimals,
// of which milliseconds are kept. It is strict where the standard is: days must
// exist, and there is no second 60.
func parseTime(b []byte) (millis int64, ok bool) {
	if len(b) < 20 {
		return 0, false
	}
	year, ok1 := digits(b[0:4])
	month, ok2 := digits(b[5:7])
	day, ok3 := digits(b[8:10])
	hour, ok4 := digits(b[11:13])
	minute, ok5 := digits(b[14:16])
	second, ok6 := digits(b[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) ||
		b[4] != '-' || b[7] != '-' || b[13] != ':' || b[16] != ':' ||
		b[10] != 'T' && b[10] != 't' && b[10] != ' ' ||
		month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	fraction, rest, ok := decimals(b[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	seconds := int64(daysSince1970(year, month, day))*86400 + int64(hour*3600+minute*60+second-offset)
	return seconds*1000 + int64(fraction), true
}

func digits(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// decimals reads ".123456" and returns 123 and what follows.
func decimals(b []byte) (millis int, rest []byte, ok bool) {
	if b[0] != '.' {
		return 0, b, true
	}
	i, scale := 1, 100
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		millis += int(b[i]-'0') * scale
		scale /= 10
	}
	return millis, b[i:], i > 1
}

// zone reads "Z" or "+05:30" and returns the seconds east of UTC.
func zone(b []byte) (east int, ok bool) {
	if len(b) == 1 && (b[0] == 'Z' || b[0] == 'z') {
		return 0, true
	}
	if len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	h, ok1 := digits(b[1:3])
	m, ok2 := digits(b[4:6])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	if b[0] == '-' {
		return -(h*3600 + m*60), true
	}
	return h*3600 + m*60, true
}

func daysIn(year, month int) int {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// daysSince1970 counts the days of the proleptic Gregorian calendar, after
// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil:
// the year starts in March, so that the leap day is its last.
func daysSince1970(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468
}
