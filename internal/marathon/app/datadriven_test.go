package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestDefinitions runs testdata/*.txt. Commands:
//
//	new [show=(field,…)]     the JSON as a new app /app (or its id): canonical form, or the fields named, or the error
//	apply [show=(field,…)]   the JSON as an update of the app made last: the change it is, then the fields that differ
//	together                 one app in each line: what is wrong with them together
func TestDefinitions(t *testing.T) {
	datadriven.Walk(t, "testdata/definitions", func(t *testing.T, path string) {
		var current App
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				return showNew(t, d, &current)
			case "apply":
				return showApply(t, d, &current)
			case "together":
				return showTogether(t, d)
			}
			return "unknown command " + d.Cmd
		})
	})
}

func showNew(t *testing.T, d *datadriven.TestData, current *App) string {
	t.Helper()
	a, err := newApp(d.Input)
	if err != nil {
		return showError(t, err)
	}
	*current = a
	return showApp(t, d, a)
}

func newApp(definition string) (App, error) {
	u, err := Parse([]byte(definition))
	if err != nil {
		return App{}, err
	}
	id, named := u.ID()
	if !named {
		id = "/app"
	}
	a := u.New(id)
	return a, Definitions{}.Validate(a, "")
}

func showApply(t *testing.T, d *datadriven.TestData, current *App) string {
	t.Helper()
	u, err := Parse([]byte(d.Input))
	if err != nil {
		return showError(t, err)
	}
	if _, _, err := u.Rollback(); err != nil {
		return showError(t, err)
	}
	next := u.Apply(*current)
	if err := (Definitions{}).Validate(next, ""); err != nil {
		return showError(t, err)
	}
	var out strings.Builder
	out.WriteString("change: " + Diff(*current, next).String() + "\n")
	before, after := members(t, *current), members(t, next)
	*current = next
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if string(before[name]) != string(after[name]) {
			fmt.Fprintf(&out, "%s: %s\n", name, after[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if after[name] == nil {
			out.WriteString(name + ": gone\n")
		}
	}
	return out.String()
}

func showTogether(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	apps := map[ID]App{}
	for line := range strings.Lines(d.Input) {
		a, err := newApp(line)
		if err != nil {
			return showError(t, err)
		}
		apps[a.ID] = a
	}
	if err := ValidateTogether(apps); err != nil {
		return showError(t, err)
	}
	return "fine\n"
}

func showApp(t *testing.T, d *datadriven.TestData, a App) string {
	t.Helper()
	arg, ok := d.Arg("show")
	if !ok {
		b, err := json.MarshalIndent(a, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	var out strings.Builder
	all := members(t, a)
	for _, name := range arg.Vals {
		value := string(all[name])
		if value == "" {
			value = "absent"
		}
		fmt.Fprintf(&out, "%s: %s\n", name, value)
	}
	return out.String()
}

func members(t *testing.T, a App) map[string]json.RawMessage {
	t.Helper()
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// showError is the status and body an API answers with.
func showError(t *testing.T, err error) string {
	t.Helper()
	status := 422
	if _, ok := errors.AsType[*InvalidError](err); !ok {
		status = 400
	}
	b, jsonErr := json.Marshal(err)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	return fmt.Sprintf("%d %s\n", status, b)
}
