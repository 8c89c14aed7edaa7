package analyzer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"
)

// Bounds of a rule file, so that a hostile one costs little: bytes, levels, and
// colons in one item of a list (the parser's time grows with their square).
const (
	maxFile    = 1 << 20
	maxNesting = 200
	maxKeys    = 1000
)

// Load reads and checks rule files together: a rule's name is unique among all
// of them. The error is of type Faults and lists everything that is wrong.
func Load(files ...File) (*RuleSet, error) {
	l := &loader{names: map[string]string{}}
	for _, f := range files {
		l.file(f)
	}
	set := &RuleSet{Rules: l.rules}
	if r := set.circle(); r != nil {
		l.faults = append(l.faults, Fault{File: r.File, Line: r.Line, Col: 1, What: fmt.Sprintf("the rule %q yields to itself, through others", r.Name), Want: "want yields_to without a circle"})
	}
	if len(l.faults) > 0 {
		l.faults.sort()
		return nil, l.faults
	}
	return set, nil
}

// LoadOver loads rule files, and others whose rules take the place of those of the same
// name. Each of the two is checked by itself, as Load does, and then the whole.
func LoadOver(base, over []File) (*RuleSet, error) {
	below, err := Load(base...)
	if err != nil || len(over) == 0 {
		return below, err
	}
	above, err := Load(over...)
	if err != nil {
		return nil, err
	}
	set := &RuleSet{}
	for _, r := range below.Rules {
		if other := above.Rule(r.Name); other != nil {
			r = other
		}
		set.Rules = append(set.Rules, r)
	}
	for _, r := range above.Rules {
		if below.Rule(r.Name) == nil {
			set.Rules = append(set.Rules, r)
		}
	}
	if r := set.circle(); r != nil {
		return nil, Faults{{File: r.File, Line: r.Line, Col: 1, What: fmt.Sprintf("the rule %q yields to itself, through others", r.Name), Want: "want yields_to without a circle"}}
	}
	return set, nil
}

// loader collects rules and faults over all files.
type loader struct {
	src    source
	rules  []*Rule
	names  map[string]string // rule name to where it stands
	faults Faults
}

func (l *loader) file(f File) {
	l.src = newSource(f)
	if what := l.src.refuse(); what != "" {
		l.add(1, 1, what, fmt.Sprintf("want at most %d bytes of UTF-8, %d levels, and %d keys in one item", maxFile, maxNesting, maxKeys))
		return
	}
	tree, err := parseYAML(f.Data)
	if err != nil {
		l.syntax(err)
		return
	}
	found := false
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		found = true
		l.document(doc.Body)
	}
	if !found {
		l.add(1, 1, "the file holds no rules", "want a list under rules:")
	}
}

// parseYAML parses; the library's panics on malformed input become errors.
func parseYAML(data []byte) (tree *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			tree, err = nil, fmt.Errorf("not YAML")
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (l *loader) syntax(err error) {
	var se *yaml.SyntaxError
	if errors.As(err, &se) && se.Token != nil {
		what, _, _ := strings.Cut(se.Message, "\n")
		line, col := l.src.position(se.Token)
		l.add(line, col, "not YAML: "+what, "want well-formed YAML")
		return
	}
	what, _, _ := strings.Cut(err.Error(), "\n")
	l.add(1, 1, "not YAML: "+what, "want well-formed YAML")
}

func (l *loader) add(line, col int, what, want string) {
	l.faults = append(l.faults, Fault{File: l.src.name, Line: line, Col: col, What: what, Want: want})
}

func (l *loader) fault(at ast.Node, what, want string) {
	line, col := l.src.position(tokenOf(at))
	l.add(line, col, what, want)
}

// tokenOf returns where a node starts. A block mapping's own token is its first
// colon, so its first key is taken instead.
func tokenOf(n ast.Node) *yamltoken.Token {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return m.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return m.Key.GetToken()
	}
	return n.GetToken()
}

func (l *loader) document(body ast.Node) {
	for _, entry := range l.mapping(body, "the file") {
		if entry.key != "rules" {
			l.fault(entry.at, fmt.Sprintf("unknown key %q", entry.key), wantOneOf(entry.key, []string{"rules"}))
			continue
		}
		list, ok := entry.value.(*ast.SequenceNode)
		if !ok {
			l.fault(entry.value, "rules is not a list", "want - name: ... for each rule")
			continue
		}
		for _, item := range list.Values {
			l.rule(item)
		}
	}
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    ast.Node // the key
	value ast.Node
}

// mapping returns a node's entries; a node that is no mapping, or that repeats
// a key, is a fault.
func (l *loader) mapping(n ast.Node, what string) []entry {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		l.fault(n, "anchors, aliases and tags have no meaning here", "want it written out")
		return nil
	default:
		l.fault(n, what+" is not a mapping", "want key: value")
		return nil
	}
	var entries []entry
	seen := map[string]bool{}
	for _, v := range values {
		key, ok := scalar(v.Key)
		switch {
		case !ok || v.Value == nil:
			l.fault(v.Key, "a key that is not plain text", "want key: value")
			continue
		case seen[key]:
			l.fault(v.Key, fmt.Sprintf("%q is given twice", key), "want it once")
			continue
		}
		seen[key] = true
		entries = append(entries, entry{key, v.Key, v.Value})
	}
	return entries
}

// scalar returns the text of a scalar as written.
func scalar(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		if s.Value == nil {
			return "", true
		}
		return strings.TrimSpace(s.Value.Value), true
	case *ast.NullNode:
		return "", true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return strings.TrimSpace(n.GetToken().Value), true
	}
	return "", false
}

// text returns a scalar's text, or complains.
func (l *loader) text(e entry) (string, bool) {
	s, ok := scalar(e.value)
	if !ok {
		l.fault(e.value, fmt.Sprintf("%s is not a plain value", e.key), "want text or a number")
		return "", false
	}
	return strings.TrimSpace(s), true
}
