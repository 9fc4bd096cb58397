package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/pgbaton/pgbaton/internal/marathon/driver/mesos/wire"
)

func recorded(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recording %s: %v", pattern, err)
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// notOurs are recorded calls of kinds this program never makes.
func notOurs() []string {
	return []string{"LAUNCH_GROUP", "MESSAGE", "REQUEST", "SHUTDOWN", "TEARDOWN", "legacy", "executor-crash"}
}

// Every call of a kind this program makes is written again from its value, field by field the same.
func TestCallsAreWrittenAsRecorded(t *testing.T) {
	tried := 0
	for _, file := range recorded(t, "call-*.json") {
		if slices.ContainsFunc(notOurs(), func(word string) bool { return strings.Contains(file, word) }) {
			continue
		}
		tried++
		t.Run(filepath.Base(file), func(t *testing.T) {
			var call wire.Call
			decoder := json.NewDecoder(bytes.NewReader(read(t, file)))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&call); err != nil {
				t.Fatal(err)
			}
			written, err := json.Marshal(call)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(t, read(t, file)), tree(t, written)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if tried < 30 {
		t.Errorf("only %d calls were tried", tried)
	}
}

func tree(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return undefaulted(v)
}

// undefaulted is a value without what says nothing: for protobuf false, 0, no items and absence are the same.
func undefaulted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, x := range v {
			x = undefaulted(x)
			if items, list := x.([]any); x == false || x == 0.0 || list && len(items) == 0 {
				delete(v, key)
				continue
			}
			v[key] = x
		}
	case []any:
		for i := range v {
			v[i] = undefaulted(v[i])
		}
	}
	return v
}

// Every recorded event is read: the part that its type names is there, and nothing else.
func TestEventsAreReadAsRecorded(t *testing.T) {
	for _, file := range recorded(t, "event-*.json") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var e wire.Event
			if err := json.Unmarshal(read(t, file), &e); err != nil {
				t.Fatal(err)
			}
			parts := map[wire.EventType]bool{
				wire.EventSubscribed: e.Subscribed != nil, wire.EventOffers: e.Offers != nil, wire.EventInverseOffers: e.InverseOffers != nil,
				wire.EventRescind: e.Rescind != nil, wire.EventRescindInverseOffer: e.RescindInverseOffer != nil, wire.EventUpdate: e.Update != nil,
				wire.EventUpdateOperationStatus: e.UpdateOperationStatus != nil, wire.EventFailure: e.Failure != nil, wire.EventError: e.Error != nil,
			}
			for kind, there := range parts {
				if there != (kind == e.Type) {
					t.Errorf("of a %s the part %s is there: %v", e.Type, kind, there)
				}
			}
			whole(t, e)
		})
	}
}

// whole looks for what the driver cannot do without.
func whole(t *testing.T, e wire.Event) {
	t.Helper()
	if e.Offers != nil {
		for _, o := range e.Offers.Offers {
			if o.ID.Value == "" || o.AgentID.Value == "" || o.Hostname == "" || len(o.Resources) == 0 || o.URL == nil || o.URL.Address.IP == "" {
				t.Errorf("an offer lacks something: %+v", o)
			}
		}
	}
	if e.Update != nil {
		s := e.Update.Status
		if s.TaskID.Value == "" || !strings.HasPrefix(s.State, "TASK_") || s.UUID != "" && s.AgentID == nil {
			t.Errorf("a status lacks something: %+v", s)
		}
	}
	if e.UpdateOperationStatus != nil {
		if s := e.UpdateOperationStatus.Status; s.OperationID == nil || s.State == "" {
			t.Errorf("the status of an operation lacks something: %+v", s)
		}
	}
}

// What is offered of a reservation is what a launch on it has to name: it is written as it was read.
func TestOfferedResourcesAreNamedAsTheyWereOffered(t *testing.T) {
	var e wire.Event
	file := read(t, filepath.Join("testdata", "event-OFFERS-with-reservation-and-volume.json"))
	if err := json.Unmarshal(file, &e); err != nil {
		t.Fatal(err)
	}
	written, err := json.Marshal(e.Offers.Offers[0].Resources)
	if err != nil {
		t.Fatal(err)
	}
	offers, _ := tree(t, file).(map[string]any)["offers"].(map[string]any)["offers"].([]any)
	offer, _ := offers[0].(map[string]any)
	if diff := cmp.Diff(offer["resources"], tree(t, written)); diff != "" {
		t.Error(diff)
	}
}

func TestRecords(t *testing.T) {
	stream := "3\n{ }0\n5\n{\"\n}\n"
	records := wire.NewRecords(iotest(stream))
	for _, want := range []string{"{ }", "{\"\n}\n"} {
		got, err := records.Next()
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := records.Next(); !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the end: %v", err)
	}
}

// iotest hands out one byte at a time: chunks and records have nothing to do with each other.
func iotest(s string) io.Reader { return &drip{s} }

type drip struct{ rest string }

func (d *drip) Read(p []byte) (int, error) {
	if d.rest == "" {
		return 0, io.EOF
	}
	p[0], d.rest = d.rest[0], d.rest[1:]
	return 1, nil
}

func TestStreamsThatAreCutOrNoStreams(t *testing.T) {
	for stream, want := range map[string]error{
		"":                                   io.EOF,
		"1":                                  io.ErrUnexpectedEOF,
		"12\n{":                              io.ErrUnexpectedEOF,
		"<html>\n":                           wire.ErrFraming,
		"-1\n":                               wire.ErrFraming,
		"\n":                                 wire.ErrFraming,
		"99999999999\n":                      wire.ErrFraming,
		"999999999999999999999999":           wire.ErrFraming,
		fmt.Sprintf("%d\n{", wire.MaxRecord): io.ErrUnexpectedEOF,
	} {
		if _, err := wire.NewRecords(strings.NewReader(stream)).Next(); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", stream, err, want)
		}
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte("3\n{ }0\n5\n{\"\n}\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		records := wire.NewRecords(bytes.NewReader(b))
		for {
			record, err := records.Next()
			if err != nil {
				return
			}
			var e wire.Event
			_ = json.Unmarshal(record, &e)
		}
	})
}

func TestAmountsAreExactInThousandths(t *testing.T) {
	sum := int64(0)
	for range 10 {
		sum += wire.Amount(0.1).Milli
	}
	if sum != 1000 {
		t.Errorf("ten tenths are %d thousandths", sum)
	}
	var s wire.Scalar
	if err := json.Unmarshal([]byte(`{"value":1.3000000000000003}`), &s); err != nil || s.Milli != 1300 {
		t.Errorf("%d, %v", s.Milli, err)
	}
	if err := json.Unmarshal([]byte(`{"value":1e300}`), &s); err == nil {
		t.Error("1e300 is taken")
	}
}

// Ranges are sets of numbers: cutting and merging agree with counting.
func TestRangesAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (wire.Ranges, map[int]bool) {
			var r wire.Ranges
			set := map[int]bool{}
			for range rapid.IntRange(0, 5).Draw(t, name) {
				begin := rapid.IntRange(1, 40).Draw(t, "begin")
				end := begin + rapid.IntRange(-1, 8).Draw(t, "width")
				r.Range = append(r.Range, wire.Range{Begin: begin, End: end})
				for n := begin; n <= end; n++ {
					set[n] = true
				}
			}
			return r, set
		}
		a, inA := draw("a")
		b, inB := draw("b")
		left, merged := a.Without(b), a.Merge()
		covers := true
		for n := range 60 {
			if has(merged, n) != inA[n] {
				t.Fatalf("%v merged is %v", a, merged)
			}
			if has(left, n) != (inA[n] && !inB[n]) {
				t.Fatalf("%v without %v is %v", a, b, left)
			}
			covers = covers && (!inB[n] || inA[n])
		}
		if a.Covers(b) != covers {
			t.Fatalf("%v covers %v: %v", a, b, a.Covers(b))
		}
		for i := 1; i < len(merged.Range); i++ {
			if merged.Range[i].Begin <= merged.Range[i-1].End+1 {
				t.Fatalf("%v is not merged: %v", a, merged)
			}
		}
	})
}

func has(r wire.Ranges, n int) bool {
	return slices.ContainsFunc(r.Range, func(x wire.Range) bool { return x.Begin <= n && n <= x.End })
}
