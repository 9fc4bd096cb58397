package deploy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// TestSteps runs testdata/steps.txt: "old" and "next" set definitions in the words of the other scenarios, "next" prints
// the steps between them.
func TestSteps(t *testing.T) {
	var old map[app.ID]app.App
	datadriven.RunTest(t, "testdata/steps.txt", func(t *testing.T, d *datadriven.TestData) string {
		apps, groups := map[app.ID]app.App{}, map[app.ID]app.Group{}
		for line := range strings.Lines(d.Input) {
			fields := strings.Fields(line)
			if fields[0] == "group" {
				depends := newWords(t, fields[2:]).app("").Dependencies
				groups[app.ID(fields[1])] = app.Group{ID: app.ID(fields[1]), Dependencies: depends}
				continue
			}
			w := newWords(t, fields[1:])
			a := w.app(app.ID(fields[0]))
			a.VersionInfo.LastScalingAt = w.time("scaled", "-1h")
			apps[a.ID] = a
		}
		if d.Cmd == "old" {
			old = apps
			return ""
		}
		steps := Steps(app.Definitions{Apps: old}, app.Definitions{Apps: apps, Groups: groups})
		var out strings.Builder
		for n, step := range steps {
			fmt.Fprintf(&out, "%d:", n+1)
			for _, a := range step.Actions {
				fmt.Fprintf(&out, " %s %s", a.Kind, a.App)
			}
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "affected: %v\n", Affected(steps))
		return out.String()
	})
}
