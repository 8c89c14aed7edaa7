package recording

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"belfry/telemetry"
)

func (r *registry) readYAML(text []byte) {
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		r.yamlFault(err, place{1, 1})
		return
	}
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		for _, entry := range r.entries(doc.Body, "sites and devices") {
			switch key := keyOf(entry); key {
			case "sites":
				readList(r, entry.Value, r.addSite)
			case "devices":
				readList(r, entry.Value, r.addDevice)
			default:
				r.fault(placeOf(entry.Key), "no key %q; want sites or devices", key)
			}
		}
	}
}

// readList reads a list of sites or devices.
func readList[T telemetry.Site | telemetry.Device](r *registry, node ast.Node, add func(T, place)) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.fault(placeOf(node), "no list; want one item on each line, beginning with a dash")
		return
	}
	keys := yamlKeys(reflect.TypeFor[T]())
	for _, item := range list.Values {
		before := len(r.faults)
		for _, entry := range r.entries(item, strings.Join(keys, ", ")) {
			checkEntry[T](r, entry, keys)
		}
		if len(r.faults) > before {
			continue
		}
		var value T
		if err := yaml.NodeToValue(item, &value, yaml.Strict()); err != nil {
			r.yamlFault(err, placeOf(item))
			continue
		}
		add(value, startOf(item))
	}
}

// checkEntry checks one key of an item by itself, so that every fault is found
// and not just the first.
func checkEntry[T any](r *registry, entry *ast.MappingValueNode, keys []string) {
	if key := keyOf(entry); !slices.Contains(keys, key) {
		r.fault(placeOf(entry.Key), "no key %q; want %s", key, strings.Join(keys, ", "))
		return
	}
	var scratch T
	if err := yaml.NodeToValue(entry, &scratch, yaml.Strict()); err != nil {
		r.yamlFault(err, placeOf(entry.Value))
	}
}

// entries returns the key-value pairs of a mapping.
func (r *registry) entries(node ast.Node, wanted string) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	r.fault(placeOf(node), "no mapping; want keys with values: %s", wanted)
	return nil
}

// yamlFault notes an error of the YAML library with its own position.
func (r *registry) yamlFault(err error, at place) {
	var positioned yaml.Error
	if !errors.As(err, &positioned) {
		r.fault(at, "%v", err)
		return
	}
	if t := positioned.GetToken(); t != nil {
		at = place{t.Position.Line, t.Position.Column}
	}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		r.fault(at, "%q; want %s", typed.Token.Value, typeName(typed.DstType))
		return
	}
	r.fault(at, "%s", positioned.GetMessage())
}

// typeName says a type in the words of a YAML file.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Map, reflect.Struct:
		return "keys with values"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "a " + t.Kind().String()
}

func keyOf(entry *ast.MappingValueNode) string { return entry.Key.GetToken().Value }

func placeOf(node ast.Node) place {
	p := node.GetToken().Position
	return place{p.Line, p.Column}
}

// startOf returns where an item begins: at its first key.
func startOf(node ast.Node) place {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		return placeOf(m.Values[0].Key)
	}
	if m, ok := node.(*ast.MappingValueNode); ok {
		return placeOf(m.Key)
	}
	return placeOf(node)
}

// yamlKeys returns the keys that a type's YAML tags name.
func yamlKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); name != "-" && name != "" {
			keys = append(keys, name)
		}
	}
	return keys
}
