package chdb

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library holds the C functions of libchdb that are used here, under the names
// of its header chdb.h without the prefix. Pointers to Go memory that go in are
// read during the call only.
type library struct {
	version           func() string
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv **byte) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)

	queryWithParams       func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr, names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, n uintptr) unsafe.Pointer
	streamQueryWithParams func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr, names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, n uintptr) unsafe.Pointer
	streamFetch           func(conn, stream unsafe.Pointer) unsafe.Pointer
	streamCancel          func(conn, stream unsafe.Pointer)

	insert        func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr) unsafe.Pointer
	insertAppend  func(stream unsafe.Pointer, data *byte, n uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertError   func(stream unsafe.Pointer) string
	insertDestroy func(stream unsafe.Pointer)

	resultError   func(result unsafe.Pointer) string
	resultBuffer  func(result unsafe.Pointer) *byte
	resultLength  func(result unsafe.Pointer) uintptr
	resultRows    func(result unsafe.Pointer) uint64
	resultDestroy func(result unsafe.Pointer)
}

var (
	loadMu sync.Mutex
	loaded *library // the library stays loaded: the engine cannot be unloaded
	from   string   // the path it was loaded from
)

func load(path string) (*library, error) {
	loadMu.Lock()
	defer loadMu.Unlock()
	if loaded != nil {
		if path != from {
			return nil, fmt.Errorf("load %s: the process has loaded %s already", path, from)
		}
		return loaded, nil
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load the ClickHouse engine from %s: %w", path, err)
	}
	lib := &library{}
	for name, fn := range map[string]any{
		"chdb_version":                     &lib.version,
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_with_params_n":         &lib.queryWithParams,
		"chdb_stream_query_with_params_n":  &lib.streamQueryWithParams,
		"chdb_stream_fetch_result":         &lib.streamFetch,
		"chdb_stream_cancel_query":         &lib.streamCancel,
		"chdb_stream_insert_n":             &lib.insert,
		"chdb_stream_append":               &lib.insertAppend,
		"chdb_stream_done":                 &lib.insertDone,
		"chdb_stream_insert_error":         &lib.insertError,
		"chdb_destroy_insert_stream":       &lib.insertDestroy,
		"chdb_result_error":                &lib.resultError,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_rows_read":            &lib.resultRows,
		"chdb_destroy_query_result":        &lib.resultDestroy,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load the ClickHouse engine from %s: it has no %s; belfry needs libchdb %s or later: %w", path, name, Version, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	// Before the first connection, or the engine takes over Go's signals.
	lib.setSignalHandlers(0)
	loaded, from = lib, path
	return lib, nil
}

// cStrings returns pointers to NUL-terminated copies; keep must stay alive as
// long as they are used.
func cStrings(texts []string) (pointers []*byte, keep [][]byte) {
	for _, s := range texts {
		b := append([]byte(s), 0)
		keep = append(keep, b)
		pointers = append(pointers, &b[0])
	}
	return pointers, keep
}

// pinned holds Go memory still while C reads pointers to pointers into it.
type pinned struct{ runtime.Pinner }

func (p *pinned) strings(texts []string) (pointers **byte, lengths *uintptr) {
	if len(texts) == 0 {
		return nil, nil
	}
	ps, ls := make([]*byte, len(texts)), make([]uintptr, len(texts))
	for i, s := range texts {
		b := append([]byte(s), 0)
		p.Pin(&b[0])
		ps[i], ls[i] = &b[0], uintptr(len(s))
	}
	p.Pin(&ps[0])
	p.Pin(&ls[0])
	return &ps[0], &ls[0]
}
