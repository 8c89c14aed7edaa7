package incidents

import (
	"embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed defaults/*.yaml
var defaultFiles embed.FS

// readDefaults reads the documents of a new tenant that are long: the categories,
// what is asked first in each of them, and what is worth reading. A fault in a
// file is a fault in the program, and a test reads them all.
func readDefaults() (out []Document) {
	for _, kind := range []DocumentKind{CategoryDocument, QuestionnaireDocument, ArticleDocument} {
		name := "defaults/" + map[DocumentKind]string{CategoryDocument: "categories", QuestionnaireDocument: "questionnaires",
			ArticleDocument: "articles"}[kind] + ".yaml"
		text, err := defaultFiles.ReadFile(name)
		if err == nil {
			text, err = yaml.YAMLToJSON(text)
		}
		var list []json.RawMessage
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		for _, data := range list {
			var named struct{ ID string }
			if err == nil {
				err = json.Unmarshal(data, &named)
			}
			out = append(out, Document{Kind: kind, ID: named.ID, Data: data})
		}
		if err != nil {
			panic(fmt.Sprintf("%s: %v", name, err))
		}
	}
	return out
}

// shipped is the book of a new tenant.
var shipped = sync.OnceValue(func() *Book {
	b, err := NewBook(nil)
	if err != nil {
		panic(err) // a test makes it
	}
	return b
})
