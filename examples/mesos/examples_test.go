package mesos_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Every definition beside this file is one that the scheduler takes as it stands, and they can all run together.
func TestDefinitions(t *testing.T) {
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	all := map[app.ID]app.App{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "[") {
			text = []byte("[" + string(text) + "]")
		}
		updates, err := app.ParseList(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, u := range updates {
			id, _ := u.ID()
			a := u.New(id)
			if err := (app.Definitions{}).Validate(a, "database"); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if want := strings.HasPrefix(file, "p"); a.IsPostgres() != want {
				t.Errorf("%s: taken for a database: %t", file, !want)
			}
			all[id] = a
		}
	}
	if err := app.ValidateTogether(all); err != nil {
		t.Error(err)
	}
}
