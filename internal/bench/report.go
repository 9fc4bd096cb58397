package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that was measured.
type report struct {
	When     time.Time
	Machine  string
	Subjects []subject
	// figures are by subject and metric, one for each run.
	figures map[string]map[string][]float64
}

func (r *report) add(subject string, f figures) {
	if r.figures == nil {
		r.figures = map[string]map[string][]float64{}
	}
	if r.figures[subject] == nil {
		r.figures[subject] = map[string][]float64{}
	}
	for key, value := range f {
		r.figures[subject][key] = append(r.figures[subject][key], value)
	}
}

func (r *report) summary(subject, key string) summary { return summarise(r.figures[subject][key]) }

// machine says on what it was measured.
func machine() string {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s", runtime.NumCPU(), model)
}

// formats are the ways to print a report.
func formats() map[string]func(io.Writer, report) error {
	return map[string]func(io.Writer, report) error{"table": table, "markdown": markdown, "json": asJSON}
}

// rows are the report in cells, with a headline. A metric that nobody has is left out.
func (r *report) rows() [][]string {
	head := []string{"what", "budget"}
	for _, s := range r.Subjects {
		head = append(head, s.title)
	}
	if len(r.Subjects) == 2 {
		head = append(head, "ratio")
	}
	all := [][]string{head}
	for _, m := range metrics() {
		if row, known := r.row(m); known {
			all = append(all, row)
		}
	}
	return all
}

func (r *report) row(m metric) (row []string, known bool) {
	row = []string{m.title, m.limit()}
	var sums []summary
	for _, s := range r.Subjects {
		sum := r.summary(s.name, m.key)
		known = known || sum.Max > 0 || m.budget == 0 && sum.Runs > 0
		sums = append(sums, sum)
		row = append(row, m.cell(sum))
	}
	if len(sums) == 2 {
		row = append(row, m.ratio(sums[0], sums[1]))
	}
	return row, known
}

// over are the metrics whose budgets pgbaton does not keep.
func (r *report) over() []string {
	var titles []string
	for _, m := range metrics() {
		if s := r.summary(pgbaton, m.key); s.Runs > 0 && !m.within(s.Median) {
			titles = append(titles, m.title)
		}
	}
	return titles
}

// note says how to read the table.
func (r *report) note() string {
	runs := 0
	for _, s := range r.Subjects {
		runs = max(runs, r.summary(s.name, "rise").Runs)
	}
	text := fmt.Sprintf("Medians of %d runs, the least and the most in brackets; %s, %s.", runs, r.Machine, r.When.Format(time.DateOnly))
	if over := r.over(); len(over) > 0 {
		text += "\nOver budget: " + strings.Join(over, "; ") + "."
	}
	return text
}

// table prints columns that line up.
func table(out io.Writer, r report) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	rows := r.rows()
	under := make([]string, len(rows[0]))
	for i, title := range rows[0] {
		under[i] = strings.Repeat("-", len([]rune(title)))
	}
	for _, row := range slices.Insert(rows, 1, under) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", r.note())
	return err
}

// markdown prints a table for a document.
func markdown(out io.Writer, r report) error {
	for i, row := range r.rows() {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(out, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
	_, err := fmt.Fprintf(out, "\n%s\n", r.note())
	return err
}

// asJSON prints every figure of every run with its summary.
func asJSON(out io.Writer, r report) error {
	type entry struct {
		summary
		Figures []float64 `json:"figures"`
	}
	all := map[string]map[string]entry{}
	for _, s := range r.Subjects {
		all[s.title] = map[string]entry{}
		for key, figures := range r.figures[s.name] {
			all[s.title][key] = entry{summarise(figures), figures}
		}
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"when": r.When, "machine": r.Machine, "subjects": all})
}
