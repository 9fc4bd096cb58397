package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// mixedScope is the name of the cluster.
const mixedScope = "postgresql-cluster"

// reads are the commands that change nothing.
func reads(leader, replica string) [][]string {
	query := func(args ...string) []string {
		return append([]string{"query", "-U", "postgres", "-d", "postgres"}, args...)
	}
	return [][]string{
		{"list"},
		{"list", mixedScope},
		{"list", "-e"},
		{"list", "-f", "json"},
		{"list", "-e", "-f", "json"},
		{"list", "-f", "yaml"},
		{"list", "-f", "tsv"},
		{"list", "nosuch"},
		{"topology"},
		{"history"},
		{"history", "-f", "json"},
		{"history", "-f", "yaml"},
		{"history", "-f", "tsv"},
		{"history", "nosuch"},
		{"show-config"},
		{"show-config", "nosuch"},
		{"dsn"},
		{"dsn", "-r", "replica", "-m", replica},
		{"dsn", "-m", replica},
		{"dsn", "-m", "nobody"},
		{"version", mixedScope},
		{"version", mixedScope, replica},
		query("-c", "select 1 as one, 'two' as two", "-r", "leader"),
		query("-c", "select 1 as one, null as nothing, true as yes", "-m", replica, "--format", "json"),
		query("-c", "select 1.5::float as price, pg_is_in_recovery() as standby", "-m", leader, "--format", "yaml"),
		query("-c", "select generate_series(1, 3) as n", "-m", leader, "--format", "pretty"),
		query("-c", "select 'a b' as what, 2 as n", "-m", leader, "--delimiter", ";"),
		query("-m", leader),
		query("-c", "select 1", "-f", os.DevNull),
		{"resume"},
		{"switchover", "--force", "--leader", replica},
		{"switchover", "--force", "--leader", leader, "--candidate", "nobody"},
		{"switchover", "--force", "--leader", leader, "--candidate", leader},
		{"failover", "--force"},
		{"failover", "--force", "--candidate", leader},
		{"restart", mixedScope, "nobody", "--force"},
		{"reinit", mixedScope, leader, "--force"},
		{"flush", mixedScope, "switchover", "--force"},
		{"edit-config", "--force", "-s", "ttl=20"},
		{"edit-config", "--force", "-s", "nonsense"},
		{"remove", "nosuch"},
	}
}

// answer is what a command says.
type answer struct {
	Text string
	Code int
}

// agree has both tools answer the same question, until they say the same: positions move a little in an idle cluster too.
func (f *mixedField) agree(ctx context.Context, t *testing.T, args ...string) {
	t.Helper()
	limited, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("too long"))
	defer cancel()
	const tries = 3
	difference := ""
	for range tries {
		theirs, ours := f.answer(limited, f.patroni, args...), f.answer(limited, nil, args...)
		if difference = cmp.Diff(theirs, ours); difference == "" {
			return
		}
	}
	t.Errorf("%s: %s says, and pgbaton (+) says\n%s", strings.Join(args, " "), f.patroni.Title, difference)
}

// answer is the answer of a tool, as far as it is the same for all versions.
func (f *mixedField) answer(ctx context.Context, k *Kind, args ...string) answer {
	text, code, err := f.Ctl(ctx, k, f.Names()[0], args...)
	if err != nil {
		// The error has the reason behind the command and its exit status.
		_, complaint, _ := strings.Cut(err.Error(), "exit status ")
		text = strings.TrimRight(text, "\n") + complaint
	}
	if strings.HasPrefix(args[0], "version") {
		_, text, _ = strings.Cut(text, "\n")
	}
	if !f.patroni.Latest() {
		text = strings.ReplaceAll(withoutColumns(text), "No 'any' among", "No any among")
	}
	return answer{Text: text, Code: code}
}

// columns are those that the lists of all generations of patronictl have.
var columns = []string{"Cluster", "Member", "Host", "Role", "State", "TL", "Pending restart", "Pending restart reason", "Scheduled restart", "Tags"}

// withoutColumns leaves of a list of members what is in the columns above: 4.1 has other ones for positions than 4.0.
func withoutColumns(text string) string {
	var rows []map[string]any
	if yaml.Unmarshal([]byte(text), &rows) == nil && len(rows) > 0 && rows[0]["Member"] != nil {
		for _, row := range rows {
			keepColumns(row)
		}
		return fmt.Sprint(rows)
	}
	separator := "|"
	if strings.HasPrefix(text, "Cluster\t") {
		separator = "\t"
	}
	var header, out []string
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(line, separator)
		switch {
		case strings.HasPrefix(line, "+"):
			line = strings.Trim(line, "+- ")
		case len(cells) < 3:
		case header == nil && !strings.Contains(line, "Member"):
		case header == nil:
			header = cells
			fallthrough
		default:
			line = pick(header, cells)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func keepColumns(row map[string]any) {
	for name := range row {
		if !strings.Contains(strings.Join(columns, ","), name) {
			delete(row, name)
		}
	}
}

// pick leaves of a row what is in the columns above.
func pick(header, cells []string) string {
	var kept []string
	for i, cell := range cells {
		if i < len(header) && strings.TrimSpace(header[i]) != "" && strings.Contains(strings.Join(columns, ","), strings.TrimSpace(header[i])) {
			kept = append(kept, strings.TrimSpace(cell))
		}
	}
	return strings.Join(kept, " ")
}
