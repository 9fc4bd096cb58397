package config

import (
	"cmp"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

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
	// Mode zero leaves the permissions to the umask.
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

// The defaults of the section log (Patroni documentation, "Log").
const (
	defaultQueue    = 1000
	defaultFileSize = 25_000_000
	defaultFileNum  = 4
)

type logFile struct {
	Type        string            `yaml:"type"`
	Level       string            `yaml:"level"`
	Traceback   string            `yaml:"traceback_level"`
	Format      layoutFile        `yaml:"format"`
	DateFormat  string            `yaml:"dateformat"`
	Static      map[string]any    `yaml:"static_fields"`
	Queue       int               `yaml:"max_queue_size"`
	Dir         string            `yaml:"dir"`
	Mode        uint32            `yaml:"mode"`
	FileSize    int64             `yaml:"file_size"`
	FileNum     *int              `yaml:"file_num"`
	Loggers     map[string]string `yaml:"loggers"`
	Deduplicate bool              `yaml:"deduplicate_heartbeat_logs"`
}

// layoutFile is a format, or the fields of a line.
type layoutFile struct {
	text   string
	fields []LogField
}

// UnmarshalYAML accepts both forms. An item of a list is a field, or a section of fields and what they are called.
func (l *layoutFile) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		l.text = node.Value
		return nil
	}
	for _, item := range node.Content {
		if item = target(item); item.Kind == yaml.ScalarNode {
			l.fields = append(l.fields, LogField{Name: item.Value, As: item.Value})
			continue
		}
		for i := 0; i+1 < len(item.Content); i += 2 {
			l.fields = append(l.fields, LogField{Name: item.Content[i].Value, As: cmp.Or(target(item.Content[i+1]).Value, item.Content[i].Value)})
		}
	}
	return nil
}

// levelWords are the names of levels, older ones included.
func levelWords() []string {
	return []string{"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "NOTSET"}
}

// level is a level by the one name that it has here.
func level(word, otherwise string) string {
	switch word = strings.ToUpper(cmp.Or(word, otherwise)); word {
	case "WARN":
		return "WARNING"
	case "FATAL":
		return "CRITICAL"
	case "NOTSET":
		return "DEBUG"
	}
	return word
}

func (f logFile) config(inVolume func(string) string) (Log, []string) {
	l := Log{
		JSON: strings.EqualFold(f.Type, "json"), Level: level(f.Level, "INFO"), TracebackLevel: level(f.Traceback, "ERROR"),
		Format: f.Format.text, Fields: f.Format.fields, Static: f.Static, DateFormat: f.DateFormat, Queue: cmp.Or(f.Queue, defaultQueue),
		Dir: inVolume(f.Dir), Mode: os.FileMode(f.Mode), FileSize: cmp.Or(f.FileSize, defaultFileSize), FileNum: defaultFileNum,
		Deduplicate: f.Deduplicate,
	}
	if f.FileNum != nil {
		l.FileNum = *f.FileNum
	}
	for name, word := range f.Loggers {
		if l.Loggers == nil {
			l.Loggers = map[string]string{}
		}
		l.Loggers[name] = level(word, "INFO")
	}
	var warnings []string
	if l.JSON && l.Fields == nil {
		for _, found := range placeOfLayout.FindAllString(l.Format, -1) {
			name := strings.Trim(found, "%()")
			l.Fields = append(l.Fields, LogField{Name: name, As: name})
		}
	}
	if !l.JSON && l.Fields != nil {
		warnings = append(warnings, "log.format is a list, which is for log.type json only: the default format is used")
		l.Fields = nil
	}
	return l, warnings
}
