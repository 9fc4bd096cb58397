package agent_test

import (
	"fmt"
	"testing"
	"time"
)

// A member is promoted and cut off before it can say which timeline it began, and so another one begins a timeline of
// the same number. PostgreSQL would take the two for equal: whoever was the primary of the one that does not count
// clones anew, and keeps its old data.
func TestTwinTimelines(t *testing.T) {
	for name, meanwhile := range map[string]func(h *host){
		"and comes back as it is":                  func(*host) {},
		"and its server crashed":                   (*host).crash,
		"and its machine was restarted":            func(h *host) { h.lose(); time.Sleep(5 * time.Second); h.isolate(); h.start() },
		"and its agent was restarted":              func(h *host) { h.kill(); h.start() },
		"and it left":                              func(h *host) { _ = h.leave(); h.start() },
		"and its agent was restarted, much later":  func(h *host) { time.Sleep(2 * ttl); h.kill(); h.start() },
		"and its machine was restarted after that": func(h *host) { time.Sleep(2 * ttl); h.lose(); h.isolate(); h.start() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *lab) {
				leader := b.start("n1", "n2", "n3")
				b.write(20 * time.Millisecond)
				time.Sleep(5 * time.Second)
				lost := b.followers()[0]
				b.put("failover", fmt.Sprintf(`{"leader":%q,"member":%q}`, leader.name, lost.name))
				b.await(time.Second, "the candidate is promoted", func() bool { return lost.see().promoting })
				lost.isolate()
				time.Sleep(time.Second)
				meanwhile(lost)
				b.await(ttl+2*time.Second, "another member leads", b.ledByAnother(lost))
				if lost.see().line.number != b.leader().see().line.number {
					t.Fatalf("no twins: timelines %d and %d", lost.see().line.number, b.leader().see().line.number)
				}
				time.Sleep(5 * time.Second)
				lost.heal()
				b.await(30*time.Second, "all stream", b.healthy)
				if len(lost.see().kept) != 1 {
					t.Errorf("%s kept %v, want its old data", lost.name, lost.see().kept)
				}
			})
		})
	}
}
