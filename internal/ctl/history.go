package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

func (t *tool) historyCommand() *cobra.Command {
	format := formatPretty
	c := &cobra.Command{
		Use:     "history [CLUSTER]",
		Short:   "List the timelines that ended: when, where, and who led next",
		Example: "  pgbaton history -f json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.history(cmd.Context(), strings.Join(args, ""), format)
		},
	}
	c.Flags().StringVarP(&format, "format", "f", formatPretty, "pretty, tsv, json or yaml")
	return c
}

func (t *tool) history(ctx context.Context, name, format string) error {
	s, err := t.open(ctx, name)
	if err != nil {
		return err
	}
	defer s.close()
	c, err := s.load(ctx)
	if err != nil {
		return err
	}
	text, err := renderHistory(c.History, format)
	if err != nil {
		return err
	}
	t.printf("%s", text)
	return nil
}

// historyDoc is one timeline that ended, for programs; empty cells are kept.
type historyDoc struct {
	Timeline  uint32 `json:"TL" yaml:"TL"`
	LSN       uint64 `json:"LSN" yaml:"LSN"`
	Reason    string `json:"Reason" yaml:"Reason"`
	Timestamp string `json:"Timestamp" yaml:"Timestamp"`
	Leader    string `json:"New Leader" yaml:"New Leader"`
}

func renderHistory(h cluster.History, format string) (string, error) {
	docs := []historyDoc{}
	cells := [][]string{}
	for _, l := range h.Lines {
		docs = append(docs, historyDoc{uint32(l.Timeline), uint64(l.End), l.Reason, l.At, l.Leader})
		cells = append(cells, []string{
			strconv.FormatUint(uint64(l.Timeline), 10), strconv.FormatUint(uint64(l.End), 10), l.Reason, l.At, l.Leader,
		})
	}
	columns := []column{{"TL", true}, {"LSN", true}, {"Reason", false}, {"Timestamp", false}, {"New Leader", false}}
	switch format {
	case formatPretty:
		return table("", columns, cells), nil
	case formatTSV:
		var b strings.Builder
		b.WriteString("TL\tLSN\tReason\tTimestamp\tNew Leader\n")
		for _, line := range cells {
			b.WriteString(strings.Join(line, "\t") + "\n")
		}
		return b.String(), nil
	case formatJSON:
		text, err := json.Marshal(docs)
		return string(text) + "\n", err
	case formatYAML, formatYML:
		text, err := yaml.Marshal(docs)
		return string(text) + "\n", err
	}
	return "", fmt.Errorf("unknown format %q: choose pretty, tsv, json or yaml", format)
}
