package incidents

import (
	"path"
	"strings"
	"time"
	"unicode"
)

// Attachment is a file at an incident, without its bytes.
type Attachment struct {
	ID        string    `json:"id"`
	Ref       string    `json:"ref"`
	Name      string    `json:"name" doc:"As its owner calls it"`
	Type      string    `json:"type" doc:"As its bytes show it to be, whatever was said of it"`
	Size      int64     `json:"size" doc:"Bytes"`
	Hash      string    `json:"sha256"`
	Internal  bool      `json:"internal,omitempty" doc:"For the desk's eyes only"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// Limits of attachments.
const (
	MaxAttachment  = 10 << 20 // bytes of one
	MaxAttachments = 50       // at one incident
)

// Reads reports whether the actor may know of the attachment of an incident that
// it sees.
func (a Attachment) Reads(by Actor) bool { return !a.Internal || by.Role.OnDesk() }

// FileName makes a name of what somebody calls a file:
// one that is no path, and that every system and header takes.
func FileName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(`"<>:|?*`, r) {
			return '_'
		}
		return r
	}, name)
	if name = strings.Trim(name, ". "); name == "" || name == "/" {
		return "file"
	}
	for len(name) > 200 {
		name = string([]rune(name)[1:]) // the end says what it is
	}
	return name
}
