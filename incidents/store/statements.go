package store

import (
	"context"
	"database/sql"
	"sync"
)

// statements are those that SQLite need not read again; PostgreSQL's driver
// keeps its own. One is prepared when it has come twice, on the writing connection
// between two transactions.
type statements struct {
	mu    sync.Mutex
	known map[string]*sql.Stmt
	seen  map[string]int
}

// statementsKept bounds how many there are, and how many are looked out for.
const statementsKept = 200

// find returns the prepared form of a statement; nil when there is none yet.
func (p *statements) find(query string) *sql.Stmt {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.known[query]; s != nil {
		return s
	}
	if p.seen == nil || len(p.seen) > 4*statementsKept {
		p.seen = map[string]int{}
	}
	p.seen[query]++
	return nil
}

// often returns the statements that are worth preparing, once.
func (p *statements) often() (queries []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for query, n := range p.seen {
		if n > 1 && len(p.known)+len(queries) < statementsKept {
			queries = append(queries, query)
			delete(p.seen, query)
		}
	}
	return queries
}

func (p *statements) keep(query string, s *sql.Stmt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[string]*sql.Stmt{}
	}
	p.known[query] = s
}

// learn prepares what came often. What can't be prepared is sent as it is, and
// says then what is wrong.
func (db *database) learn() {
	if db.numbered {
		return
	}
	for _, query := range db.statements.often() {
		if s, err := db.write.DB.PrepareContext(context.Background(), query); err == nil {
			db.statements.keep(query, s)
		}
	}
}
