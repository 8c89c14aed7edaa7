package door

import "strings"

// token is a piece of a statement in the engine's own writing.
type token struct {
	text   string // of a quoted name, without quotes and escapes
	kind   byte   // 'w' a bare word, 'q' a quoted name, 's' a string, 'n' a number, else the sign itself
	at     int    // where it begins
	end    int    // and the place behind it
	nested int    // parentheses around it
}

// name reports whether the token can name something.
func (t token) name() bool { return t.kind == 'w' || t.kind == 'q' }

// word reports whether the token is this keyword, which the engine writes bare
// and in capitals.
func (t token) word(keyword string) bool { return t.kind == 'w' && t.text == keyword }

// lex takes a statement apart that the engine has written (formatQuerySingleLine),
// in which there are no comments, strings have single quotes and quoted names
// backquotes, both with backslashes before what needs one. So this reader has
// one way of quoting to understand, and nothing to guess.
func lex(sql string) []token {
	var out []token
	nested := 0
	for i := 0; i < len(sql); {
		start := i
		switch c := sql[i]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
			continue
		case c == '\'' || c == '`' || c == '"':
			text, end := quoted(sql, i)
			kind := byte('q')
			if c == '\'' {
				kind = 's'
			}
			out, i = append(out, token{text, kind, start, end, nested}), end
			continue
		case letter(c):
			for i < len(sql) && (letter(sql[i]) || digit(sql[i])) {
				i++
			}
			out = append(out, token{sql[start:i], 'w', start, i, nested})
			continue
		case digit(c):
			for i < len(sql) && (letter(sql[i]) || digit(sql[i]) || sql[i] == '.') {
				i++
			}
			out = append(out, token{sql[start:i], 'n', start, i, nested})
			continue
		case c == ')' || c == ']' || c == '}':
			nested--
			out = append(out, token{sql[i : i+1], c, start, i + 1, nested})
		default:
			out = append(out, token{sql[i : i+1], c, start, i + 1, nested})
			if c == '(' || c == '[' || c == '{' {
				nested++
			}
		}
		i++
	}
	return out
}

// quoted reads what is between quotes, from the first of them on.
func quoted(sql string, i int) (text string, end int) {
	quote := sql[i]
	var b strings.Builder
	for i++; i < len(sql); i++ {
		switch {
		case sql[i] == '\\' && i+1 < len(sql):
			i++
			b.WriteByte(sql[i])
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
			b.WriteByte(quote)
		case sql[i] == quote:
			return b.String(), i + 1
		default:
			b.WriteByte(sql[i])
		}
	}
	return b.String(), i
}

func letter(c byte) bool {
	return c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
func digit(c byte) bool { return c >= '0' && c <= '9' }
