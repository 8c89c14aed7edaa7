package incidents

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Category is what an incident is about, and what follows from that. Categories
// are a tree: user_report/device lies in user_report, and has from it whatever it
// does not say itself.
type Category struct {
	ID            string   `json:"id,omitempty" maxLength:"128"`
	About         string   `json:"about,omitempty" maxLength:"300" doc:"What it says of an incident"`
	Impact        Impact   `json:"impact,omitempty" enum:"client,site,device" doc:"Unless a rule or a person says another"`
	Urgency       Urgency  `json:"urgency,omitempty" enum:"high,medium,low" doc:"Unless a rule or a person says another"`
	Team          string   `json:"team,omitempty" maxLength:"128" doc:"Who looks after it"`
	Questionnaire string   `json:"questionnaire,omitempty" maxLength:"128" doc:"What is asked first; it is done before the incident is escalated"`
	Articles      []string `json:"articles,omitempty" maxItems:"50" doc:"What is worth reading"`
	Class         string   `json:"class,omitempty" maxLength:"128" doc:"Agreements of this class are meant for it"`
}

// Check returns what is wrong with the category. That its questionnaire exists is
// for the book to know.
func (c *Category) Check() error {
	var f faults
	f.name("id", c.ID)
	if strings.HasPrefix(c.ID, "/") || strings.HasSuffix(c.ID, "/") || strings.Contains(c.ID, "//") {
		f.add("id", "%q is no path; want such as user_report/device", c.ID)
	}
	f.importance(c.Impact, c.Urgency)
	return f.err()
}

// parentOf returns the id of the category that another lies in; "" for a root.
func parentOf(id string) string { return id[:max(0, strings.LastIndexByte(id, '/'))] }

// inherit fills in what the parent says and the category does not.
func (c *Category) inherit(p *Category) {
	orParent(&c.Impact, p.Impact)
	orParent(&c.Urgency, p.Urgency)
	orParent(&c.Team, p.Team)
	orParent(&c.Questionnaire, p.Questionnaire)
	orParent(&c.Class, p.Class)
	if len(c.Articles) == 0 {
		c.Articles = p.Articles
	}
}

func orParent[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}

func (b *Book) addCategories(documents []Document) error {
	b.categories = map[string]*Category{}
	for _, d := range current(CategoryDocument, documents) { // by id, so that parents come first
		c := &Category{}
		if err := json.Unmarshal(d.Data, c); err != nil {
			return fmt.Errorf("read category %s: %w", d.ID, err)
		}
		if p := b.categories[parentOf(c.ID)]; p != nil {
			c.inherit(p)
		}
		b.categories[c.ID] = c
	}
	return nil
}

// category returns what the book says of a category; of one that it does not
// know, which a rule may bring, what it says of the nearest one above.
func (b *Book) category(id string) *Category {
	for at := id; b != nil && at != ""; at = parentOf(at) {
		if known := b.categories[at]; known != nil {
			return known
		}
	}
	return &Category{ID: id}
}

// choosable checks a category that a person chooses.
func (f *faults) choosable(b *Book, id string) {
	if b == nil {
		b = shipped()
	}
	if b.categories[id] == nil {
		f.add("category", "no category %q; want one of %s", id, strings.Join(slices.Sorted(maps.Keys(b.categories)), ", "))
	}
}

// importanceOf returns an impact and an urgency, with what the category says
// where they are missing.
func (b *Book) importanceOf(category string, impact Impact, urgency Urgency) (Impact, Urgency) {
	c := b.category(category)
	orParent(&impact, c.Impact)
	orParent(&urgency, c.Urgency)
	return impact, urgency
}

// priority is what the matrix makes of an impact and an urgency.
func (d *Desk) priority(b *Book, category string, impact Impact, urgency Urgency) int {
	impact, urgency = b.importanceOf(category, impact, urgency)
	return d.matrix(b).Priority(impact, urgency)
}

// matrix returns the tenant's own matrix, or else the desk's.
func (d *Desk) matrix(b *Book) Matrix {
	if b != nil && b.matrix != nil {
		return b.matrix
	}
	return d.config.Matrix
}
