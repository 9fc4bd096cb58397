package sim

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// openRequest is what an operator asked and nobody has answered yet.
type openRequest struct {
	ha.Request

	begun bool
}

// ask hands a request to the loop.
func (l *life) ask(kind ha.RequestKind) {
	l.numbers++
	l.requests = append(l.requests, openRequest{Request: ha.Request{ID: l.numbers, Kind: kind}})
	l.wakeAfter(0)
}

// pending are the requests that no decision has taken up.
func (l *life) pending() []ha.Request {
	var out []ha.Request
	for _, o := range l.requests {
		if !o.begun {
			out = append(out, o.Request)
		}
	}
	return out
}

func (l *life) begin(id int) {
	for i := range l.requests {
		if l.requests[i].ID == id {
			l.requests[i].begun = true
		}
	}
}

func (l *life) finish(id int) {
	l.requests = slices.DeleteFunc(l.requests, func(o openRequest) bool { return o.ID == id })
}
