package api

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestEveryExampleInTheDocumentIsTaken sends each of them as it stands.
func TestEveryExampleInTheDocumentIsTaken(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			RequestBody *struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	h := told(t)
	if err := json.Unmarshal([]byte(h.call("", "GET", "/openapi.json", "").text), &doc); err != nil {
		t.Fatal(err)
	}
	hook := h.call("admin", "POST", "/api/v1/webhooks", `{"url":"https://a.example/"}`).json["id"].(string)
	sent := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		real := strings.NewReplacer("matrices/{id}", "matrices/default", "{problem}", "PRB-000001", "{announcement}", "ANN-000001", "{action}", "1", "webhooks/{id}", "webhooks/"+hook, "sites/{id}", "sites/rome", "{id}", "example", "{ref}/transitions", "INC-000001/transitions", "{ref}", "INC-000002", "{name}", "FC-2").Replace(path)
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			if op.RequestBody == nil {
				continue
			}
			media, ok := op.RequestBody.Content["application/json"]
			if file, is := op.RequestBody.Content["*/*"]; is && len(file.Example) > 0 {
				continue // bytes, which other tests send
			}
			if !ok || len(media.Example) == 0 {
				t.Errorf("%s %s has no example", method, path)
				continue
			}
			sent++
			headers := []string{}
			if method == "patch" {
				headers = []string{"If-Match", "*"}
			}
			if strings.Contains(path, "/matrices/") {
				headers = []string{"If-Match", `"0"`}
			}
			got := h.call("admin", strings.ToUpper(method), real, string(media.Example), headers...)
			if got.StatusCode >= 300 && got.StatusCode != 503 { // 503: a part that this house has not
				t.Errorf("%s %s refuses its example %s: %s", method, path, media.Example, got.text)
			}
		}
	}
	if sent < len(examples) {
		t.Errorf("%d examples were sent of %d", sent, len(examples))
	}
}
