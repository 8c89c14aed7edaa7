package door

import (
	"fmt"
	"strconv"
	"strings"
)

// kind is a ClickHouse type, as far as one has to know it to find the end of a
// column: the size of a value, or how it is put together.
type kind struct {
	name  string
	size  uint64
	parts []kind
}

var fixed = map[string]uint64{
	"Bool": 1, "Nothing": 1, "Int8": 1, "UInt8": 1, "Enum8": 1,
	"Int16": 2, "UInt16": 2, "Enum16": 2, "Date": 2, "BFloat16": 2,
	"Int32": 4, "UInt32": 4, "Float32": 4, "Date32": 4, "DateTime": 4, "IPv4": 4, "Decimal32": 4, "Time": 4,
	"Int64": 8, "UInt64": 8, "Float64": 8, "DateTime64": 8, "Decimal64": 8, "Time64": 8,
	"Int128": 16, "UInt128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16,
	"Int256": 32, "UInt256": 32, "Decimal256": 32,
}

// parseKind reads the name of a type.
func parseKind(text string) (kind, error) {
	name, args, err := parts(text)
	if err != nil {
		return kind{}, err
	}
	if strings.HasPrefix(name, "Interval") {
		return kind{name: name, size: 8}, nil
	}
	if size, ok := fixed[name]; ok {
		return kind{name: name, size: size}, nil
	}
	switch name {
	case "String":
		return kind{name: name}, nil
	case "FixedString":
		size, err := number(args, 0)
		return kind{name: name, size: size}, err
	case "Decimal":
		precision, err := number(args, 0)
		return kind{name: name, size: decimalSize(precision)}, err
	case "SimpleAggregateFunction":
		if len(args) == 2 {
			return parseKind(args[1])
		}
	case "Nullable", "Array", "LowCardinality":
		if len(args) == 1 {
			return compound(name, args)
		}
	case "Map":
		if len(args) == 2 {
			return compound(name, args)
		}
	case "Tuple":
		if len(args) > 0 {
			return compound(name, args)
		}
	}
	return kind{}, refusal(codeNotImplemented, "Type %s cannot be sent in the Native format through the door; use another format, or cast it to String", text)
}

func compound(name string, args []string) (kind, error) {
	k := kind{name: name}
	for _, a := range args {
		part, err := parseKind(a)
		if err != nil && name == "Tuple" {
			part, err = parseKind(unnamed(a))
		}
		if err != nil {
			return kind{}, err
		}
		k.parts = append(k.parts, part)
	}
	return k, nil
}

// unnamed takes the name off an element of a named tuple: `a` UInt8.
func unnamed(element string) string {
	element = strings.TrimSpace(element)
	if rest, ok := strings.CutPrefix(element, "`"); ok {
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '`':
				return strings.TrimSpace(rest[i+1:])
			}
		}
	}
	_, rest, _ := strings.Cut(element, " ")
	return rest
}

func decimalSize(precision uint64) uint64 {
	switch {
	case precision <= 9:
		return 4
	case precision <= 18:
		return 8
	case precision <= 38:
		return 16
	}
	return 32
}

func number(args []string, i int) (uint64, error) {
	if i >= len(args) {
		return 0, fmt.Errorf("a type without its number")
	}
	return strconv.ParseUint(args[i], 10, 32)
}

// parts takes Name(arg, arg) apart. Commas and parentheses within quotes or
// deeper parentheses belong to the arguments.
func parts(text string) (name string, args []string, err error) {
	text = strings.TrimSpace(text)
	name, inner, found := strings.Cut(text, "(")
	if !found {
		return name, nil, nil
	}
	if !strings.HasSuffix(inner, ")") {
		return "", nil, fmt.Errorf("a type %q without an end", text)
	}
	inner = inner[:len(inner)-1]
	depth, start, quote := 0, 0, byte(0)
	for i := 0; i < len(inner); i++ {
		switch ch := inner[i]; {
		case quote != 0 && ch == '\\':
			i++
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case ch == '\'' || ch == '`':
			quote = ch
		case ch == '(':
			depth++
		case ch == ')':
			depth--
		case ch == ',' && depth == 0:
			args, start = append(args, strings.TrimSpace(inner[start:i])), i+1
		}
	}
	return name, append(args, strings.TrimSpace(inner[start:])), nil
}
