package deploy

import (
	"fmt"
	"strings"
	"time"
)

// moment is a time relative to noon, zero when the line says nothing of it.
func (w words) moment(key string) time.Time {
	if w.text(key, "") == "" {
		return time.Time{}
	}
	return w.time(key, "").Time()
}

func (w words) moments(key string) []time.Time {
	var list []time.Time
	for text := range strings.FieldsSeq(strings.ReplaceAll(w.text(key, ""), ",", " ")) {
		list = append(list, newWords(w.t, []string{"at=" + text}).moment("at"))
	}
	return list
}

func (w words) health() Health {
	return Health{
		Healthy: w.has("ok"), Failing: w.has("bad"), Mute: w.moment("mute"), Kill: w.sentence("kill", ""), Own: w.has("own"), Sick: w.moment("sick"), Quiet: w.moment("quiet"),
		Contact: Contact{Heard: w.moment("heard"), Missed: w.moment("missed"), Early: w.has("early")},
	}
}

// printBreaker says what a plan has made of the breaker.
func printBreaker(before, after Breaker) string {
	var out strings.Builder
	switch {
	case before.Open.IsZero() && !after.Open.IsZero():
		fmt.Fprintln(&out, "the breaker opens")
	case !before.Open.IsZero() && after.Open.IsZero():
		fmt.Fprintln(&out, "the breaker closes")
	}
	return out.String()
}
