package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of what is indexed of one text.
const (
	longestWord = 64     // bytes of a word
	mostWords   = 16_000 // PostgreSQL knows no later place in a text
)

// plainLetters are letters that have no accent to take off.
var plainLetters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i")

// wordsOf returns the words of a text, in lower case and without accents: what is
// between them does not matter. Both databases are given words that are folded
// here, so that they find the same.
func wordsOf(text string) []string {
	words := strings.FieldsFunc(folded(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	for i, w := range words {
		for len(w) > longestWord {
			w = strings.TrimRightFunc(w[:len(w)-1], func(r rune) bool { return r == unicode.ReplacementChar })
		}
		words[i] = w
	}
	return words[:min(len(words), mostWords)]
}

// folded is a text in lower case and without accents. Most are ASCII, which has none.
func folded(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(text)
	}
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, plainLetters.Replace(strings.ToLower(norm.NFKD.String(text))))
}

// spaced is a text as the column words holds it: each word with a space before
// it, so that a word finds those that begin with it, and no others.
func spaced(text string) string {
	var b strings.Builder
	for _, w := range wordsOf(text) {
		b.WriteString(" " + w)
	}
	return b.String()
}

// phrases returns what each word of a question asks for: FC-100 is two words, one
// after the other.
func phrases(q string) (out [][]string) {
	for word := range strings.FieldsSeq(q) {
		if p := wordsOf(word); len(p) > 0 {
			out = append(out, p)
		}
	}
	return out[:min(len(out), 32)]
}

// asking writes a question in the language of the index. The last word of each
// phrase finds those that begin with it.
type asking struct {
	title bool // only in titles
	any   bool // one of the phrases is enough
}

func (d *dialect) question(list [][]string, a asking) string {
	parts := make([]string, len(list))
	for i, phrase := range list {
		if d.numbered {
			parts[i] = "(" + vectorPhrase(phrase, a.title) + ")"
		} else {
			parts[i] = `"` + strings.Join(phrase, " ") + `" *`
		}
	}
	switch {
	case d.numbered && a.any:
		return strings.Join(parts, " | ")
	case d.numbered:
		return strings.Join(parts, " & ")
	case a.any:
		return columnOf(a.title) + "(" + strings.Join(parts, " OR ") + ")"
	}
	return columnOf(a.title) + "(" + strings.Join(parts, " AND ") + ")"
}

func columnOf(title bool) string {
	if title {
		return "title : "
	}
	return ""
}

func vectorPhrase(phrase []string, title bool) string {
	flag := ""
	if title {
		flag = "A"
	}
	out := make([]string, len(phrase))
	for i, w := range phrase {
		out[i] = "'" + w + "'"
		switch {
		case i == len(phrase)-1:
			out[i] += ":*" + flag
		case title:
			out[i] += ":A"
		}
	}
	return strings.Join(out, " <-> ")
}

// texts are the rows of the index, of texts that are not in it yet.
func (d *dialect) texts() bulk {
	if d.numbered {
		return bulk{into: "search (id, vector)", columns: 2}
	}
	return bulk{into: "search (rowid, title, body)", columns: 3}
}

func (d *dialect) textArgs(args []any, id int64, title, body string) []any {
	if d.numbered {
		return append(args, id, vector(title, body))
	}
	return append(args, id, strings.Join(wordsOf(title), " "), strings.Join(wordsOf(body), " "))
}

// putText puts a text into the index, anew when it is there.
func putText(ctx context.Context, tx *txn, id int64, title, body string) error {
	statement := "INSERT OR REPLACE INTO search (rowid, title, body) VALUES (?,?,?)"
	if tx.numbered {
		statement = "INSERT INTO search (id, vector) VALUES (?, CAST(? AS tsvector)) ON CONFLICT (id) DO UPDATE SET vector = excluded.vector"
	}
	if _, err := tx.ExecContext(ctx, statement, tx.textArgs(nil, id, title, body)...); err != nil {
		return fmt.Errorf("index a text: %w", err)
	}
	return nil
}

// dropTexts takes the texts after one number and up to another out of the index.
func dropTexts(ctx context.Context, tx *txn, after, to int64) error {
	column := "rowid"
	if tx.numbered {
		column = "id"
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM search WHERE "+column+" > ? AND "+column+" <= ?", after, to); err != nil {
		return fmt.Errorf("take texts out of the index: %w", err)
	}
	return nil
}

// vector writes the words with their places as PostgreSQL reads them. Between
// title and body a place is left free, so that no phrase spans both.
func vector(title, body string) string {
	var b strings.Builder
	at := 0
	for i, text := range []string{title, body} {
		for _, w := range wordsOf(text) {
			if at++; at > mostWords {
				break
			}
			b.WriteString("'" + w + "':" + strconv.Itoa(at))
			if i == 0 {
				b.WriteByte('A')
			}
			b.WriteByte(' ')
		}
		at++
	}
	return b.String()
}
