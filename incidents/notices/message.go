package notices

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"belfry/incidents"
)

//go:embed templates
var templates embed.FS

// words are what messages are made of in one language.
type words struct {
	Greeting  string            `json:"greeting"`
	Site      string            `json:"site"`
	Device    string            `json:"device"`
	State     string            `json:"state"`
	Foot      string            `json:"foot"`
	Link      string            `json:"link"`      // before a link to approve
	Reasons   map[string]string `json:"reasons"`   // by reason
	States    map[string]string `json:"states"`    // by state
	Templates map[string]string `json:"templates"` // by the notice's template
	Time      string            `json:"time"`      // layout
}

var (
	textPage = texttemplate.Must(texttemplate.ParseFS(templates, "templates/message.txt"))
	htmlPage = htmltemplate.Must(htmltemplate.ParseFS(templates, "templates/message.html"))
	allWords = readWords()
)

// readWords reads the words of every language; a fault in them is a fault in the
// program, and a test reads them all.
func readWords() map[string]words {
	out := map[string]words{}
	for _, language := range incidents.Languages {
		text, err := templates.ReadFile("templates/" + language + ".json")
		if err != nil {
			panic(err)
		}
		var w words
		if err := json.Unmarshal(text, &w); err != nil {
			panic(fmt.Sprintf("words of %s: %v", language, err))
		}
		out[language] = w
	}
	return out
}

// page is what the templates are given.
type page struct {
	Words    words
	Language string
	Incident incidents.Incident
	State    string
	Why      string
	Changes  []line
	Link     string // to say whether it is well; "" for none
}

// line is one change.
type line struct {
	At, Says, Text string
}

// compose returns the subject and both forms of a message. Times are in the
// recipient's zone.
func compose(letter []incidents.Notice, events []incidents.Event, inc incidents.Incident, zone *time.Location, link string) (subject, plain, html string, err error) {
	language := letter[0].Language
	w, ok := allWords[language]
	if !ok {
		language = incidents.Languages[0]
		w = allWords[language]
	}
	if announced(letter[0]) {
		w.Foot = "" // there is no incident to answer to
	}
	p := page{Words: w, Language: language, Incident: inc, State: said(w.States, string(inc.State)), Why: said(w.Reasons, string(letter[0].Reason)), Link: link}
	for i, e := range events {
		if e.Internal { // whoever is told that a clock has run out need not read the note that came then
			e.Text = ""
		}
		p.Changes = append(p.Changes, line{e.At.In(zone).Format(w.Time), w.says(letter[i].Template, e), e.Text})
	}
	var text, page bytes.Buffer
	if err := textPage.Execute(&text, p); err != nil {
		return "", "", "", fmt.Errorf("write the message about %s: %w", inc.Ref, err)
	}
	if err := htmlPage.Execute(&page, p); err != nil {
		return "", "", "", fmt.Errorf("write the message about %s: %w", inc.Ref, err)
	}
	return fmt.Sprintf("[%s] %s", inc.Ref, inc.Summary), text.String(), page.String(), nil
}

// says puts an event into a sentence.
func (w words) says(template string, e incidents.Event) string {
	sentence := said(w.Templates, template)
	return strings.ReplaceAll(sentence, "{actor}", e.Actor)
}

// said returns the words for a name, or the name itself.
func said(words map[string]string, name string) string {
	if text, ok := words[name]; ok {
		return text
	}
	return name
}
