package store

import (
	"os"
	"path/filepath"
)

func makeFolder(path string) error { return os.MkdirAll(filepath.Dir(path), 0o700) }

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
