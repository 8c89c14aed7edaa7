package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Report is what a suite measured. It is written as JSON for programs; Print is
// for people.
type Report interface {
	Print(out io.Writer)
}

// Publish prints a report, as JSON or for people, and keeps both as NAME.json and
// NAME.txt in a folder, which is made; "" keeps nothing.
func Publish(r Report, name, dir string, asJSON bool, out io.Writer) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	data = append(data, '\n')
	var text bytes.Buffer
	r.Print(&text)
	if dir != "" {
		if err := keep(dir, map[string][]byte{name + ".json": data, name + ".txt": text.Bytes()}); err != nil {
			return fmt.Errorf("keep the report: %w", err)
		}
	}
	if asJSON {
		_, err = out.Write(data)
	} else {
		_, err = text.WriteTo(out)
	}
	return err
}

func keep(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
