package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is where a configuration comes from.
type Source struct {
	// Path names the file, or a folder whose files *.yml and *.yaml are laid one over the other in the order of their
	// names; empty for none, everything then comes from the environment.
	Path string
	// Text is the content of the file when it was read already; nil reads it.
	Text []byte
	// Env is the environment of the process.
	Env map[string]string
	// Hostname stands in for {HOST} where the environment has none.
	Hostname string
}

// envWhole is the variable with a whole configuration. It counts where no file is given; the other PATRONI_* variables
// do not count then.
const envWhole = "PATRONI_CONFIGURATION"

// page is one document of a source: its name as errors tell it, and its text.
type page struct{ name, text string }

// pages reads a source. More than one means that errors have to say which of them they speak of.
func (s Source) pages() ([]page, error) {
	switch {
	case s.Text != nil:
		return []page{{filepath.Base(s.Path), string(s.Text)}}, nil
	case s.inEnvironment():
		return []page{{envWhole, s.Env[envWhole]}}, nil
	case s.Path == "":
		return nil, nil
	}
	info, err := os.Stat(s.Path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if info.IsDir() {
		return folder(s.Path)
	}
	text, err := os.ReadFile(filepath.Clean(s.Path))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return []page{{filepath.Base(s.Path), string(text)}}, nil
}

// inEnvironment reports whether the whole configuration stands in a variable, since no file is there.
func (s Source) inEnvironment() bool {
	if s.Env[envWhole] == "" || s.Text != nil {
		return false
	}
	if s.Path == "" {
		return true
	}
	_, err := os.Stat(s.Path)
	return errors.Is(err, fs.ErrNotExist)
}

// variables is the environment as far as it counts.
func (s Source) variables() map[string]string {
	if !s.inEnvironment() {
		return s.Env
	}
	env := map[string]string{}
	for name, value := range s.Env {
		if !strings.HasPrefix(name, envPrefix) {
			env[name] = value
		}
	}
	return env
}

// Name is what errors call the source.
func (s Source) Name() string {
	if s.inEnvironment() {
		return envWhole
	}
	if s.Path == "" {
		return "the environment"
	}
	return filepath.Base(s.Path)
}

// folder reads the files of a folder. os.ReadDir sorts them by name.
func folder(path string) ([]page, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	var all []page
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if info, err := os.Stat(name); err == nil && info.IsDir() || !slices.Contains([]string{".yml", ".yaml"}, filepath.Ext(name)) {
			continue
		}
		text, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
		all = append(all, page{filepath.Join(filepath.Base(path), e.Name()), string(text)})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read the configuration: there is no *.yml or *.yaml in %s", path)
	}
	return all, nil
}

// InvalidError is a configuration that cannot be used.
type InvalidError struct {
	// Source is the name of the file, or of what stands for it.
	Source string
	// Problems are sentences of one line each, all there are. Each names its line and option.
	Problems []string
}

// Error tells all on one line.
func (i *InvalidError) Error() string {
	return cmp.Or(i.Source, "the configuration") + ": " + strings.Join(i.Problems, "; ")
}

// invalid makes one error of all that the tree of errors holds.
func invalid(source string, errs ...error) error {
	var problems []string
	for _, err := range errs {
		if err != nil {
			problems = append(problems, strings.Split(err.Error(), "\n")...)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &InvalidError{Source: source, Problems: problems}
}
