package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/chaos"
)

// act is one part of the tour.
type act struct {
	title string
	// words say what to expect; empty where the title does.
	words string
	fault chaos.Fault
	// patroni is the write outage measured with Patroni 4.1.4; empty where none was. A star marks settings other than
	// its defaults.
	patroni string
}

// performed is an act with what came of it.
type performed struct {
	act
	chaos.Result
}

// acts are the tour. The figures for Patroni were measured on one machine with three members: with its default
// settings, or, where marked, with loop_wait 1, ttl 20 and retry_timeout 3.
func acts() []act {
	return []act{
		{
			title: "A planned switchover", fault: chaos.Switchover(), patroni: "1.4 s *",
			words: "The lead is handed to a replica. No acknowledged row may be lost.",
		},
		{
			title: "The leader's PostgreSQL dies", fault: chaos.KillPostmaster(), patroni: "7.0 s",
			words: "Its agent starts it again in place: nobody else is elected, and the replicas find it again.",
		},
		{
			title: "The leader's agent dies", fault: chaos.KillAgent(),
			words: "The next agent adopts the PostgreSQL that runs: clients notice nothing.",
		},
		{
			title: "The leader's agent and PostgreSQL die", fault: chaos.KillMember(),
			words: "Another member takes over; the dead one is started again on its old volume and follows.",
		},
		{
			title: "The leader's host loses its power", fault: chaos.KillHost(), patroni: "20 s *",
			words: "Nobody may lead before the old leader's claim has run out: the lease (ttl) is 30 s, so this takes up to 30 s.",
		},
		{title: "The host gets its power back", fault: chaos.StartHost()},
		{
			title: "Scaled from 3 to 5 instances", fault: chaos.Scale(5),
			words: "Two more replicas are cloned and stream.",
		},
		{
			title: "Scaled back to 3 instances", fault: chaos.Scale(3),
			words: "The leader is never among the victims, and its key does not move.",
		},
		{title: "The leading etcd member dies", fault: chaos.KillEtcd()},
		{title: "HAProxy dies", fault: chaos.KillProxy()},
		{
			title: "pgbaton up itself dies", fault: chaos.KillUp(),
			words: "Databases and routing go on without it; the next one adopts all of it.",
		},
	}
}

// standing says who leads and who follows.
func standing(p chaos.Picture) string {
	var followers []string
	for _, m := range p.Followers() {
		followers = append(followers, m.Name)
	}
	verb := "stream"
	if len(followers) == 1 {
		verb = "streams"
	}
	return fmt.Sprintf("%s leads on timeline %d, %s %s from it", p.Leader, p.Led().Timeline, list(followers), verb)
}

// list joins names as a sentence does.
func list(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// outcome says what became of the cluster.
func outcome(r chaos.Result) string {
	leads := standing(r.After)
	if r.Before.Leader == r.After.Leader {
		leads = "still " + leads
	}
	return fmt.Sprintf("%s; all whole after %s", leads, seconds(r.Took))
}

func lost(n int) string {
	switch n {
	case 0:
		return "no acknowledged row lost"
	case 1:
		return "1 acknowledged row lost: it had not reached a replica"
	}
	return fmt.Sprintf("%d acknowledged rows lost: they had not reached a replica", n)
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
