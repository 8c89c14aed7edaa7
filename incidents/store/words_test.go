package store

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"belfry/incidents"
)

// FuzzWords folds whatever comes, and then looks for each of its words in the index:
// accents that are written as marks of their own change nothing, to fold twice is to
// fold once, and what was written is found by what was written.
func FuzzWords(f *testing.F) {
	for _, text := range []string{"", "Débranché à l'entrée", "ÎNLOCUIȚI sursă", "Straße œuvre ŁÓDŹ đ ı İ", "FC-100/2", `"quoted" 'words' \ : & | ! ( ) * <->`,
		"ः ा् mark", "\xff\xfe", "日本語 テスト", "ﬁ ½ ⅷ ①", strings.Repeat("é", 100), "a\x00b", "ᾳ ﷺ", "e\u0301\u0301", "𝐀𝐛", "NEAR OR AND NOT"} {
		f.Add(text)
	}
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(f.TempDir(), "words.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, text string) {
		words := wordsOf(text)
		for _, w := range words {
			if w == "" || len(w) > longestWord || !utf8.ValidString(w) || strings.ContainsAny(w, " '\"\\\x00") {
				t.Fatalf("%q has the word %q", text, w)
			}
		}
		if again := wordsOf(strings.Join(words, " ")); !slices.Equal(again, words) {
			t.Fatalf("%q folds to %q and then to %q", text, words, again)
		}
		if marks := wordsOf(norm.NFD.String(text)); !slices.Equal(marks, words) {
			t.Fatalf("%q folds to %q, and with its marks apart to %q", text, words, marks)
		}
		err := s.Update(ctx, func(tx incidents.Tx) error {
			return tx.PutEntry(incidents.Entry{Kind: incidents.ArticleHit, Ref: "a", Title: text})
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []string{text, strings.ToUpper(text)} {
			if _, err := s.Search(ctx, incidents.SearchQuery{Q: q, Internal: true, Limit: 10}); err != nil {
				t.Fatalf("asked for %q: %v", q, err)
			}
		}
	})
}
