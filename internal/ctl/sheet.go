package ctl

import (
	"encoding/json"
	"fmt"
	"strings"
)

// sheet is a table in whatever format is asked for. A nil cell is empty, and left out of documents.
type sheet struct {
	title   string
	columns []column
	rows    [][]any
}

// add appends a row; empty texts become empty cells.
func (s *sheet) add(cells ...any) {
	for i, c := range cells {
		if c == "" {
			cells[i] = nil
		}
	}
	s.rows = append(s.rows, cells)
}

func (s *sheet) render(format string) (string, error) {
	switch format {
	case formatTSV:
		return s.tsv(), nil
	case formatJSON:
		return jsonText(s.documents())
	case formatYAML, formatYML:
		return yamlRows(s.documents())
	}
	if len(s.rows) == 0 {
		return "", nil
	}
	var cells [][]string
	for _, row := range s.rows {
		cells = append(cells, cellTexts(row))
	}
	return table(s.title, s.columns, cells), nil
}

func cellTexts(row []any) []string {
	cells := make([]string, len(row))
	for i, c := range row {
		switch c := c.(type) {
		case nil:
		case float64:
			cells[i] = number(c).Value
		case []any:
			var parts []string
			for _, part := range c {
				parts = append(parts, fmt.Sprint(part))
			}
			cells[i] = strings.Join(parts, " ")
		default:
			cells[i] = fmt.Sprint(c)
		}
	}
	return cells
}

func (s *sheet) tsv() string {
	var b strings.Builder
	for i, c := range s.columns {
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(c.title)
	}
	b.WriteByte('\n')
	for _, row := range s.rows {
		line := strings.Join(cellTexts(row), "\t")
		b.WriteString(strings.ReplaceAll(line, "\n", " ") + "\n")
	}
	return b.String()
}

func (s *sheet) documents() [][]field {
	var docs [][]field
	for _, row := range s.rows {
		var doc []field
		for i, c := range row {
			if c != nil {
				doc = append(doc, field{s.columns[i].title, c})
			}
		}
		docs = append(docs, doc)
	}
	return docs
}

// documentText writes a JSON document of the API as JSON or YAML.
func documentText(text []byte, format string) (string, error) {
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		return "", fmt.Errorf("read the answer of the scheduler: %w", err)
	}
	if format == formatJSON {
		pretty, err := json.MarshalIndent(doc, "", "  ")
		return string(pretty) + "\n", err
	}
	return yamlText(plain(doc), false)
}

// unmarshal reads JSON of the API.
func unmarshal(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read the answer of the scheduler: %w", err)
	}
	return nil
}
