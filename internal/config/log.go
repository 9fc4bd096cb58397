package config

import "os"

// Log configures what the agent writes about itself.
type Log struct {
	// JSON writes one document a line, else Format is filled in.
	JSON bool
	// Level is the least level that is written, TracebackLevel the one from which on details of errors are: the names are
	// DEBUG, INFO, WARNING, ERROR, CRITICAL.
	Level, TracebackLevel string
	// Format has places such as %(asctime)s and %(message)s; empty: the default.
	Format string
	// Fields are the fields of a JSON line in their order, Static further ones that are the same in each.
	Fields []LogField
	Static map[string]any
	// DateFormat is strftime's; empty: YYYY-MM-DD HH:MM:SS,mmm in local time.
	DateFormat string
	// Queue is how many lines may wait to be written; what comes while it is full is dropped and counted.
	Queue int
	// Dir is where the file lies; empty: standard error. A file of FileSize bytes is renamed, and FileNum of those are kept.
	Dir      string
	Mode     os.FileMode
	FileSize int64
	FileNum  int
	// Loggers are levels of parts of the program by their names.
	Loggers map[string]string
	// Deduplicate leaves out what the loop said in its last turn already.
	Deduplicate bool
}

// LogField is a field of a JSON line: what it shows, as in %(name)s, and how it is called there.
type LogField struct{ Name, As string }
