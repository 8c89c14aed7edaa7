package incidents

import "time"

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
