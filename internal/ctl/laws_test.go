package ctl

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// documentValue draws a part of a configuration.
func documentValue(depth int) *rapid.Generator[any] {
	text := rapid.OneOf(
		rapid.String(), rapid.StringMatching(`[-+0-9:.eExoT_ Z~=#&*!|>'"%@{}\[\],?\n]{0,12}`),
		rapid.SampledFrom([]string{"", "on", "No", "null", "~", "0x1F", "1_000", "12:30:45", "2001-01-01", "1e3", "1.", "a: b", "a #b", "- a", "%p", "=", "<<", " a", "a\n", "\ta"}),
	)
	kinds := []*rapid.Generator[any]{
		rapid.Map(text, func(s string) any { return strings.ToValidUTF8(s, "?") }), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.IntRange(-1<<40, 1<<40), func(n int) any { return n }), rapid.Just(any(nil)),
	}
	if depth > 0 {
		part := rapid.Deferred(func() *rapid.Generator[any] { return documentValue(depth - 1) })
		name := rapid.StringMatching(`[a-z._ü:]{1,8}`)
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(part, 0, 4), func(l []any) any { return l }),
			rapid.Map(rapid.MapOfN(name, part, 0, 4), func(m map[string]any) any { return m }),
		)
	}
	return rapid.OneOf(kinds...)
}

// What is written says what was to be written, whatever there is in it.
func TestDocumentsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := documentValue(3).Draw(t, "document")
		for _, flow := range []bool{false, true} {
			text, err := yamlText(want, flow)
			if err != nil {
				t.Fatal(err)
			}
			var got any
			if err := yaml.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if diff := cmp.Diff(want, plain(got)); diff != "" {
				t.Fatalf("%s in\n%s", diff, text)
			}
		}
		text, err := jsonValue(want)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if diff := cmp.Diff(wholeNumbers(want), got); diff != "" {
			t.Fatalf("%s in %s", diff, text)
		}
	})
}
