package api

import (
	"testing"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

type waiting []app.Wait

func (w waiting) Waits() []app.Wait { return w }

func TestWaits(t *testing.T) {
	for name, test := range map[string]struct {
		backend Backend
		want    string
	}{
		"nobody to ask": {Backend{Scheduler: newFake()}, "404\n{\"message\":\"this scheduler has no reasons for waiting\"}\n"},
		"nothing waits": {Backend{Scheduler: newFake(), Waits: waiting{}}, "200\n{\"waits\":[]}\n"},
		"something does": {
			Backend{Scheduler: newFake(), Waits: waiting{{App: "/web", Why: "it may"}, {App: "/web", Instance: "web.1", Why: "it has to"}}},
			"200\n{\"waits\":[{\"app\":\"/web\",\"why\":\"it may\"},{\"app\":\"/web\",\"instance\":\"web.1\",\"why\":\"it has to\"}]}\n",
		},
	} {
		if got := show(call(t, configured(Config{}, test.backend), "GET /pg/v1/waits"), false); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}
