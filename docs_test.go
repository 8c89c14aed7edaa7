package main

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestTheAPIsDocumentInABrowser looks at /docs on a desk and on a phone, as it opens
// and with everything unfolded. BELFRY_TEST_PICTURES keeps the pictures.
func TestTheAPIsDocumentInABrowser(t *testing.T) {
	haveBrowser(t)
	p := serve(t, t.TempDir())
	b := &visitor{t: t, ctx: openBrowser(t), base: p.api}
	b.listens()
	b.open("/docs")
	b.looks("docs")
	if n := look(b, chromedp.Evaluate[int](`(() => { const all = document.querySelectorAll("details"); all.forEach((d) => d.open = true); return all.length })()`)); n < 100 {
		t.Errorf("there are %d operations on the page", n)
	}
	b.looks("docs-unfolded")
	if gone := look(b, chromedp.Evaluate[[]string](`[...document.querySelectorAll('a[href^="#"]')].map((a) => a.hash.slice(1)).filter((id) => !document.getElementById(id))`)); len(gone) > 0 {
		t.Errorf("links lead nowhere: %v", gone)
	}
	for _, fault := range b.faults {
		t.Errorf("the browser complains: %s", fault)
	}
	p.stop()
}
