package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// wordsOf are all headings of one word and all that stands in backquotes in a document, and what is below a dot in that.
func wordsOf(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, heading[1])
	}
	for _, found := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(string(text), -1) {
		all = append(all, found[1])
		if dot := strings.LastIndex(found[1], "."); dot >= 0 {
			all = append(all, found[1][dot+1:])
		}
	}
	return all
}

// Everything that can be configured is in the reference.
func TestEveryOptionIsDocumented(t *testing.T) {
	known := wordsOf(t, "options.md")
	var look func(path string, in map[string]option)
	look = func(path string, in map[string]option) {
		for name, o := range in {
			if name == others {
				continue
			}
			if !slices.Contains(known, name) {
				t.Errorf("%s%s is not in docs/reference/options.md", path, name)
			}
			look(path+name+".", o.in)
		}
	}
	look("", schema(waysIn{}).in)
}

func TestEveryVariableIsDocumented(t *testing.T) {
	known := wordsOf(t, "environment.md")
	for _, v := range variables() {
		name := envPrefix + v.name
		section, _, _ := strings.Cut(v.name, "_")
		if !slices.Contains(known, name) && !slices.Contains(known, envPrefix+section+"_*") {
			t.Errorf("%s is not in docs/reference/environment.md", name)
		}
	}
}
