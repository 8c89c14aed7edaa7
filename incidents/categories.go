package incidents

// Categories are the categories that an incident can have from the start, and
// what they say. Rules may bring others; people choose among these.
var Categories = map[string]string{
	"suspected_offline":       "a device has not been heard of",
	"in_out_discrepancy":      "a site's IN and OUT differ by too much",
	"never_seen":              "a device in service has never sent anything",
	"powered_not_counting":    "a device is alive and counts nothing",
	"data_gap":                "readings are missing",
	"clock_skew":              "a device's clock is wrong",
	"feed_outage":             "a whole site, gateway or tenant is silent",
	"rule_health":             "a rule can't do its work",
	"user_report/counting":    "somebody says that the numbers are wrong",
	"user_report/device":      "somebody says that a device is broken",
	"user_report/information": "somebody asks for something",
	"user_report/other":       "anything else that somebody says",
}
