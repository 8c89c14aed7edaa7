package chdb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Version is the version of libchdb that belfry is tested with.
const Version = "26.7.3-stable.1"

// LibraryEnv is the environment variable that names the library's file.
const LibraryEnv = "BELFRY_ENGINE"

// NotFoundError says where the library was looked for.
type NotFoundError struct{ Tried []string }

// Error lists the places and gives the command that brings the library.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("the ClickHouse engine (%s %s) is in none of:\n  %s\nbring it with: make setup\nor name its file in %s",
		fileName, Version, strings.Join(e.Tried, "\n  "), LibraryEnv)
}

// fileName is the same on every system: a library for macOS goes by it too.
const fileName = "libchdb.so"

// CacheDir returns the folder that setup puts the library into: the one in
// BELFRY_ENGINE_DIR, or one in the user's cache.
func CacheDir() (string, error) {
	if dir := os.Getenv("BELFRY_ENGINE_DIR"); dir != "" {
		return dir, nil
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the user's cache folder: %w", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	return filepath.Join(cache, "belfry", "engine", Version), nil
}

// Find returns the path of the library. An explicit path, or the one in the
// environment variable BELFRY_ENGINE, is the only place looked at; otherwise it
// is the folder of the executable, the user's cache and the system's library
// folders, in this order.
func Find(explicit string) (string, error) {
	if explicit == "" {
		explicit = os.Getenv(LibraryEnv)
	}
	var places []string
	if explicit != "" {
		places = append(places, explicit)
	} else {
		places = usualPlaces()
	}
	for _, p := range places {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", &NotFoundError{Tried: places}
}

func usualPlaces() []string {
	var places []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		places = append(places, filepath.Join(dir, fileName), filepath.Join(dir, "lib", fileName))
	}
	if dir, err := CacheDir(); err == nil {
		places = append(places, filepath.Join(dir, fileName))
	}
	for _, dir := range []string{"/usr/local/lib", "/usr/lib", "/opt/belfry/lib"} {
		places = append(places, filepath.Join(dir, fileName))
	}
	return places
}
