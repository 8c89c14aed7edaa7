package analyzer

import (
	"fmt"
	"slices"
	"strings"

	"belfry/telemetry"
)

// Filter chooses scopes by registry fields and labels: every field must have
// one of its values, or none of them where it says not. The zero Filter lets
// everything pass. On a group and on the tenant it chooses the devices that take part.
type Filter []Match

// Match is one field of a Filter.
type Match struct {
	Field  string   `json:"field"` // such as site.status or site.label.kind
	Not    bool     `json:"not,omitempty"`
	Values []string `json:"values"`
}

// whereFields are the fields of a filter, without the labels.
var whereFields = []string{"site", "site.name", "site.status", "site.zone", "device", "device.status"}

// whereForms are what may stand behind a field of a filter.
var whereForms = []struct{ form, about string }{
	{"VALUE", "the field is that"},
	{"[VALUE, ...]", "it is one of them"},
	{"{ not: VALUE }", "it is anything else; a label that is not there is empty, and so anything else too"},
	{"{ not: [VALUE, ...] }", "it is none of them"},
}

func wantWhereForm() string {
	var forms []string
	for _, f := range whereForms {
		forms = append(forms, f.form)
	}
	return "want " + strings.Join(forms[:len(forms)-1], ", ") + " or " + forms[len(forms)-1]
}

// checkField returns what is wrong with a field of a filter, and what is wanted.
func checkField(field string, level telemetry.Level) (what, want string) {
	base, label, _ := strings.Cut(field, "label.")
	isLabel := label != "" && (base == "" || base == "device." || base == "site.")
	if !isLabel && !slices.Contains(whereFields, field) {
		if of, name, ok := strings.Cut(field, "."); ok && of == "site" && strings.Contains(name, ".") { // a misspelt label
			_, name, _ = strings.Cut(name, ".")
			if did := nearest(field, []string{"site.label." + name}); did != "" {
				return fmt.Sprintf("no field %q to choose by", field), did
			}
		}
		return fmt.Sprintf("no field %q to choose by", field), wantOneOf(field, append(slices.Clone(whereFields), "site.label.NAME", "label.NAME"))
	}
	if level == telemetry.LevelSite && !strings.HasPrefix(field, "site") {
		return fmt.Sprintf("%q is a device's, and the rule is about a site", field), "want a field that starts with site"
	}
	return "", ""
}

// checkValue returns what is wrong with a value of a field, and what is wanted.
func checkValue(field, value string) (what, want string) {
	known := map[string][]string{
		"site.status":   {string(telemetry.SiteOpen), string(telemetry.SiteClosed), string(telemetry.SiteRefit)},
		"device.status": {string(telemetry.DeviceActive), string(telemetry.DeviceRetired)},
	}[field]
	if known == nil || slices.Contains(known, value) {
		return "", ""
	}
	return fmt.Sprintf("%s is never %q", field, value), wantOneOf(value, known)
}

// matches reports whether the filter lets a site, or a device of that site
// (nil for a site alone), pass.
func (f Filter) matches(site *telemetry.Site, device *telemetry.Device) bool {
	for _, m := range f {
		if slices.Contains(m.Values, fieldOf(m.Field, site, device)) == m.Not {
			return false
		}
	}
	return true
}

// fieldOf returns a registry field's value; a label that is not there is "".
func fieldOf(field string, site *telemetry.Site, device *telemetry.Device) string {
	switch field {
	case "site":
		return site.ID
	case "site.name":
		return site.Name
	case "site.status":
		return string(site.Status)
	case "site.zone":
		return site.Zone
	}
	if label, ok := strings.CutPrefix(field, "site.label."); ok {
		return site.Labels[label]
	}
	if device == nil {
		return ""
	}
	switch field {
	case "device":
		return device.Name
	case "device.status":
		return string(device.Status)
	}
	return device.Labels[strings.TrimPrefix(strings.TrimPrefix(field, "device."), "label.")]
}
