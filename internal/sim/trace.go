package sim

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pgbaton/pgbaton/internal/ha"
)

// recorder keeps what happened, for people.
type recorder struct {
	to      io.Writer
	samples []sample
}

// sample is what everybody was from an instant on.
type sample struct {
	at      int64
	letters [maxMembers + 1]byte
}

// line writes one line of the trace.
func (r *recorder) line(at int64, m *member, kind, what string) {
	if r.to == nil {
		return
	}
	name := "-"
	if m != nil {
		name = m.name
	}
	fmt.Fprintf(r.to, "%10.3fs %-3s %-7s %s\n", time.Duration(at).Seconds(), name, kind, what)
}

// letter is what a member is, in one letter.
func letter(m *member) byte {
	s := &m.server
	switch {
	case m.off:
		return ' '
	case s.frozen > 0:
		return 'z'
	case s.process == ha.Running && !s.recovery && m.life == nil:
		return 'p'
	case s.process == ha.Running && !s.recovery:
		return 'P'
	case s.process == ha.Running && s.streaming:
		return '-'
	case s.process == ha.Running:
		return '~'
	case s.process != ha.Stopped:
		return '|'
	case s.data != ha.DataCluster:
		return 'o'
	}
	return '.'
}

// legend says what the letters mean.
const legend = "P primary  p primary without agent  - streams  ~ standby  | starts or stops  . down  o no data  z frozen  (blank) off\n"

func (r *recorder) sample(w *world) {
	s := sample{at: w.now}
	for i, m := range w.members {
		s.letters[i] = letter(m)
	}
	s.letters[maxMembers] = '.'
	if m := w.member(w.store.now.Leader.Name); m != nil {
		s.letters[maxMembers] = m.name[1]
	}
	if n := len(r.samples); n > 0 && r.samples[n-1].letters == s.letters {
		return
	}
	r.samples = append(r.samples, s)
}

// columns is the width of a plot.
const columns = 72

// plot draws a row for each member and one for the leader key. A column shows what was most striking in it: of what a
// member was during that time, whatever began last, except that a primary shows.
func (r *recorder) plot(w *world) string {
	step := max(w.now/columns, 1)
	var out strings.Builder
	fmt.Fprintf(&out, "     0s%s%v\n", strings.Repeat(" ", columns-8), time.Duration(w.now).Round(time.Second))
	for row := range len(w.members) + 1 {
		i, name := row, "key"
		if row < len(w.members) {
			name = w.members[row].name
		} else {
			i = maxMembers
		}
		fmt.Fprintf(&out, "%4s %s\n", name, strings.TrimRight(r.row(i, step), " "))
	}
	out.WriteString("     " + legend)
	return out.String()
}

func (r *recorder) row(i int, step int64) string {
	row := make([]byte, columns)
	now, next := byte('o'), 0
	for column := range row {
		end := int64(column+1) * step
		shown := now
		for next < len(r.samples) && r.samples[next].at < end {
			now = r.samples[next].letters[i]
			if shown != 'P' || now == 'P' {
				shown = now
			}
			next++
		}
		row[column] = shown
	}
	return string(row)
}
