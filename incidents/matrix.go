package incidents

import (
	"encoding/json"
	"fmt"
)

// PriorityMatrix is the matrix of priorities as managers write it. There is one,
// with the id default.
type PriorityMatrix struct {
	ID         string `json:"id,omitempty" maxLength:"128"`
	Priorities Matrix `json:"priorities" doc:"By impact (client, site, device) and urgency (high, medium, low): 1 to 4"`
}

// matrixID is the id of the one matrix there is.
const matrixID = "default"

// Check returns what is wrong with the matrix: every field of it is wanted, or
// incidents would have priorities that nobody chose.
func (m *PriorityMatrix) Check() error {
	var f faults
	if m.ID != matrixID {
		f.add("id", "is %q; there is one matrix, %s", m.ID, matrixID)
	}
	for _, impact := range []Impact{ImpactClient, ImpactSite, ImpactDevice} {
		for _, urgency := range []Urgency{UrgencyHigh, UrgencyMedium, UrgencyLow} {
			if p := m.Priorities[impact][urgency]; p < 1 || p > 4 {
				f.add("priorities", "of %s and %s is %d; want 1 to 4", impact, urgency, p)
			}
		}
	}
	return f.err()
}

func (b *Book) addMatrix(documents []Document) error {
	for _, d := range current(MatrixDocument, documents) {
		if d.Version == 0 {
			continue // the desk's own
		}
		var m PriorityMatrix
		if err := json.Unmarshal(d.Data, &m); err != nil {
			return fmt.Errorf("read the matrix: %w", err)
		}
		b.matrix = m.Priorities
	}
	return nil
}
