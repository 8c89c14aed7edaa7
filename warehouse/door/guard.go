package door

import (
	"slices"
	"strings"
)

// guard refuses what the engine would let a reader's session do and a stranger
// must not. It looks at a statement as the engine has parsed and written it, and
// that text is what runs.
type guard struct {
	functions map[string]bool // names, in lower case, that may not stand anywhere
	tables    map[string]bool // names of table functions that may not be called
}

// closedFunctions are what a SELECT could call to read files, to reach other
// hosts, to look into the process or at what other databases have, or to hold a
// session without working.
var closedFunctions = []string{
	"file", "catboostEvaluate", "evalMLMethod", "naiveBayesClassifier", "naiveBayesClassifierWithProb", "naiveBayesClassifierWithAllProbs",
	"showCertificate", "getMacro", "getServerPort", "getServerSetting", "getClientHTTPHeader", "getOSKernelVersion",
	"addressToLine", "addressToLineWithInlines", "addressToSymbol", "sleep", "sleepEachRow", "logTrace",
	"filesystemAvailable", "filesystemCapacity", "filesystemUnreserved", "serverUUID", "FQDN", "zookeeperSessionUptime",
	"generateSerialID", "transactionID", "transactionLatestSnapshot", "transactionOldestSnapshot",
	"joinGet", "joinGetOrNull", "hasColumnInTable", "fuzzQuery", "chdb",
}

// openTableFunctions are those that make rows out of nothing but their arguments.
var openTableFunctions = []string{"numbers", "numbers_mt", "zeros", "zeros_mt", "generateSeries", "generate_series", "primes", "values", "SQLStandardValues", "format", "view", "null"}

// openSystemTables say what the engine can do and what the reader's own database
// holds; the engine itself leaves other databases out of them.
var openSystemTables = []string{
	"one", "numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "databases", "tables", "columns", "parts", "parts_columns", "data_skipping_indices",
	"functions", "table_functions", "table_engines", "database_engines", "formats", "data_type_families", "aggregate_function_combinators",
	"settings", "keywords", "collations", "time_zones", "build_options", "contributors", "licenses", "codecs",
}

// openStatements are the first words of statements that may run; for SHOW the
// second, too.
var (
	openStatements = []string{"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "("}
	openShow       = []string{"TABLES", "DATABASES", "COLUMNS", "FUNCTIONS", "SETTINGS", "INDEXES", "INDEX", "KEYS", "CREATE", "FULL", "EXTENDED"}
	openCreate     = []string{"TABLE", "VIEW", "DATABASE"}
)

// newGuard makes a guard from the engine's own lists: its table functions, those
// functions that are closed for their category, and other names of functions.
func newGuard(tableFunctions, closed []string, aliases map[string]string) *guard {
	g := &guard{functions: map[string]bool{}, tables: map[string]bool{}}
	for _, name := range slices.Concat(closedFunctions, closed) {
		g.functions[strings.ToLower(name)] = true
	}
	for name, of := range aliases {
		if g.functions[strings.ToLower(of)] {
			g.functions[strings.ToLower(name)] = true
		}
	}
	for _, name := range tableFunctions {
		g.tables[strings.ToLower(name)] = true
	}
	for _, name := range openTableFunctions {
		delete(g.tables, strings.ToLower(name))
	}
	return g
}

// checked is a statement that may run.
type checked struct {
	sql    string // without its FORMAT
	format string // "" when it names none
	rows   bool   // it is a SELECT, whose result can be streamed
}

// check looks at a statement in the engine's own writing.
func (g *guard) check(canonical string) (checked, error) {
	tokens := lex(canonical)
	if err := kindOf(tokens); err != nil {
		return checked{}, err
	}
	for i, t := range tokens {
		if err := g.token(tokens, i); err != nil {
			return checked{}, err
		}
		if t.word("SETTINGS") {
			if err := checkClause(tokens[i+1:]); err != nil {
				return checked{}, err
			}
		}
	}
	first := tokens[0]
	c := checked{sql: canonical, rows: first.word("SELECT") || first.word("WITH") || first.kind == '('}
	for i, t := range tokens {
		if t.word("FORMAT") && t.nested == 0 && at(tokens, i+1).name() && (i+2 == len(tokens) || at(tokens, i+2).word("SETTINGS")) {
			c.format, c.sql = tokens[i+1].text, strings.TrimSpace(canonical[:t.at]+canonical[tokens[i+1].end:])
		}
	}
	return c, nil
}

func at(tokens []token, i int) token {
	if i < 0 || i >= len(tokens) {
		return token{kind: ';'}
	}
	return tokens[i]
}

// kindOf refuses statements that are no questions.
func kindOf(tokens []token) error {
	first := at(tokens, 0)
	if !slices.Contains(openStatements, first.text) || first.kind != 'w' && first.kind != '(' {
		return refusal(codeReadonly, "Cannot execute query in readonly mode: the door takes SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN")
	}
	if first.text != "SHOW" {
		return nil
	}
	second, third := at(tokens, 1), at(tokens, 2)
	if !slices.Contains(openShow, second.text) || second.text == "CREATE" && !slices.Contains(openCreate, third.text) {
		return refusal(codeAccess, "Not enough privileges: SHOW %s is not for the door", second.text)
	}
	return nil
}

// token refuses a function, a table or a clause that begins here.
func (g *guard) token(tokens []token, i int) error {
	t, next := tokens[i], at(tokens, i+1)
	switch {
	// Anywhere: a function may be handed to another by its name (APPLY, arrayMap).
	case t.name() && g.functions[strings.ToLower(t.text)]:
		return refusal(codeAccess, "Not enough privileges: the function %s is not for the door", t.text)
	case t.name() && next.kind == '(' && g.tables[strings.ToLower(t.text)]:
		return refusal(codeAccess, "Not enough privileges: the table function %s is not for the door", t.text)
	case t.name() && strings.EqualFold(t.text, "system") && next.kind == '.' && at(tokens, i-1).kind != '.':
		if name := at(tokens, i+2).text; !slices.Contains(openSystemTables, name) {
			return refusal(codeAccess, "Not enough privileges: the table system.%s is not for the door", name)
		}
	case t.word("OUTFILE") && at(tokens, i-1).word("INTO"):
		return refusal(codeNotImplemented, "INTO OUTFILE is not for the door; the answer is the file")
	case t.kind == '{' && next.name() && at(tokens, i+2).kind == ':' && at(tokens, i+3).text == "Identifier":
		return refusal(codeAccess, "a parameter of the type Identifier is not for the door; write the name")
	}
	return nil
}
