package app

import (
	"bytes"
	"fmt"
)

// EncodeEvent is the event as one line of JSON without a line end, the way the event stream carries it: eventType, the time
// it happened at, and its payload. Of a payload that JSON cannot hold (no number, no date) only the first two are left.
func EncodeEvent(e Event, at Timestamp) []byte {
	line := fmt.Appendf(nil, `{"eventType":%q,"timestamp":%q}`, e.Type(), at.String())
	payload, err := verbatim(e)
	payload = bytes.TrimSpace(payload)
	if err != nil || len(payload) <= len("{}") {
		return line
	}
	return append(append(line[:len(line)-1], ','), payload[1:]...)
}

// MarshalJSON writes lists where nothing is in them: clients walk them without asking.
func (e StatusUpdateEvent) MarshalJSON() ([]byte, error) {
	type plain StatusUpdateEvent
	if e.IPAddresses == nil {
		e.IPAddresses = []IPAddress{}
	}
	return verbatim(plain(e))
}

// MarshalJSON writes a list of steps also for a plan that has none. What was and what is to be are not in it, for these are
// all apps of all groups; but Python's client takes them apart and ends the stream where they are missing.
func (p PlanEvent) MarshalJSON() ([]byte, error) {
	type plain PlanEvent
	if p.Steps == nil {
		p.Steps = []Step{}
	}
	return verbatim(struct {
		plain
		Original struct{} `json:"original"`
		Target   struct{} `json:"target"`
	}{plain: plain(p)})
}

// MarshalJSON writes a list of actions also for a step that has none.
func (s Step) MarshalJSON() ([]byte, error) {
	type plain Step
	if s.Actions == nil {
		s.Actions = []Action{}
	}
	return verbatim(plain(s))
}
