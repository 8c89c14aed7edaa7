package api

import (
	"bytes"
	"mime/multipart"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"belfry/incidents"
	"belfry/incidents/store"
)

const filesOf1 = "/api/v1/incidents/INC-000001/attachments"

func (h *house) attach(who, path, form string, data []byte) answer {
	h.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", form)
	if err != nil {
		h.t.Fatal(err)
	}
	_, _ = part.Write(data)
	_ = w.Close()
	req := httptest.NewRequest("POST", path, &b)
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+h.token[who])
	return h.do(req)
}

var png = append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 64)...)

func TestAFileIsAttachedListedServedSafelyAndTakenAway(t *testing.T) {
	for kind, folder := range map[string]string{"in a folder": t.TempDir(), "in the database": ""} {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t)
			h.parts.Attachments, h.parts.Registerer = store.NewAttachments(h.tickets, folder), nil
			h.app = New(h.parts)
			made := h.attach("paris", filesOf1, `C:\photos\étage "2".png`, png).want(t, 201, `"type":"image/png"`)
			id := made.json["id"].(string)
			if made.json["name"] != "étage _2_.png" {
				t.Errorf("called %v", made.json["name"])
			}
			got := h.call("first_line", "GET", filesOf1+"/"+id, "")
			if got.text != string(png) || got.Header.Get("Content-Type") != "image/png" || got.Header.Get("X-Content-Type-Options") != "nosniff" ||
				!strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment; filename*=utf-8''") || !strings.Contains(got.Header.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("got %v", got.Header)
			}
			page := h.call("first_line", "POST", filesOf1+"?name=x.html", "<html><script>alert(1)</script>", "Content-Type", "image/png").want(t, 201, `"type":"text/html`)
			if got := h.call("first_line", "GET", filesOf1+"/"+page.json["id"].(string), ""); !strings.HasPrefix(got.Header.Get("Content-Type"), "text/plain") {
				t.Errorf("a page is served as %s", got.Header.Get("Content-Type"))
			}
			h.call("first_line", "POST", filesOf1+"?name=note.txt&internal=true", "between us", "Content-Type", "text/plain").want(t, 201, `"internal":true`)
			if n := len(h.call("first_line", "GET", filesOf1, "").items()); n != 3 {
				t.Errorf("the desk sees %d files, want 3", n)
			}
			if list := h.call("paris", "GET", filesOf1, ""); len(list.items()) != 2 || strings.Contains(list.text, "note.txt") {
				t.Errorf("the site sees %s", list.text)
			}
			h.call("first_line", "GET", "/api/v1/incidents/INC-000001/timeline", "").want(t, 200, "attached étage _2_.png")
			h.call("paris", "DELETE", filesOf1+"/"+page.json["id"].(string), "").want(t, 403, "the desk may")
			h.call("paris", "DELETE", filesOf1+"/"+id, "").want(t, 204, "")
			h.call("paris", "GET", filesOf1+"/"+id, "").want(t, 404, "")
			if folder != "" {
				if files, err := os.ReadDir(folder); err != nil || len(files) != 2 {
					t.Errorf("%d files left, %v; want 2", len(files), err)
				}
			}
		})
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	h := newHouse(t)
	h.parts.Attachments, h.parts.Registerer = store.NewAttachments(h.tickets, t.TempDir()), nil
	h.app = New(h.parts)
	h.attach("rome", filesOf1, "x", png).want(t, 404, "no incident")
	h.attach("noc", filesOf1, "x", png).want(t, 403, "")
	h.attach("paris", filesOf1, "x", nil).want(t, 422, "empty")
	h.attach("paris", filesOf1, "x", make([]byte, incidents.MaxAttachment+1)).want(t, 413, "")
	h.call("paris", "POST", filesOf1, "--x\r\nbroken", "Content-Type", "multipart/form-data; boundary=x").want(t, 400, "")
	id := h.attach("paris", filesOf1, "../../etc/passwd", png).want(t, 201, `"name":"passwd"`).json["id"].(string)
	h.call("admin", "GET", "/api/v1/incidents/INC-000002/attachments/"+id, "").want(t, 404, "no attachment")
	h.call("rome", "GET", filesOf1+"/"+id, "").want(t, 404, "no incident")
	for range incidents.MaxAttachments - 1 {
		h.attach("paris", filesOf1, "again.png", png)
	}
	h.attach("paris", filesOf1, "x", png).want(t, 409, "no room")
}

func FuzzFileName(f *testing.F) {
	f.Add(`C:\x\y.png`)
	f.Add("../..")
	f.Add("a\r\nb: c")
	f.Fuzz(func(t *testing.T, name string) {
		if got := incidents.FileName(name); got == "" || len(got) > 200 || strings.ContainsAny(got, "/\\\r\n\"\x00") || got == ".." {
			t.Errorf("%q becomes %q", name, got)
		}
	})
}
