package bench

import (
	"os"
	"sync"
	"testing"

	"belfry/warehouse"
)

// The engine inside the process starts once in its life, so the tests share it.
var shared struct {
	sync.Once
	dir    string
	server *warehouse.Server
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Close()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// engine returns the engine that the tests share.
func engine(t *testing.T) *warehouse.Server {
	t.Helper()
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "belfry-bench-test"); shared.err == nil {
			shared.server, shared.err = warehouse.Open(warehouse.Options{Path: shared.dir})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}
