package run

import (
	"log/slog"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// EventKind says what an event is about.
type EventKind string

// The kinds of events.
const (
	EventPlaced      EventKind = "placed"      // an instance got a host; Text says why this one
	EventRunning     EventKind = "running"     // its task runs
	EventStopping    EventKind = "stopping"    // its task was asked to end; Text says why
	EventEnded       EventKind = "ended"       // its task has ended; Text says how
	EventUnreachable EventKind = "unreachable" // nobody can say how its task is
	EventWaiting     EventKind = "waiting"     // something is wanted and cannot be done now; Text says why
	EventHandover    EventKind = "handover"    // a switchover was asked for, made or refused
	EventDeployment  EventKind = "deployment"  // a deployment began, moved on or ended
	EventUnhealthy   EventKind = "unhealthy"   // a health check failed
	EventBreaker     EventKind = "breaker"     // the scheduler takes itself for cut off, or not any more
	EventStranger    EventKind = "stranger"    // a task runs that the store does not know
	EventHost        EventKind = "host"        // a host will be taken away, or stays after all; Text says why
	EventStore       EventKind = "store"       // the store went out of reach, or came back
)

// Event is something that happened, in the words of the scheduler. Which fields are set depends on the kind.
type Event struct {
	Time       time.Time
	Kind       EventKind
	App        app.ID
	Instance   app.InstanceID
	Task       app.TaskID
	Host       string
	Deployment string
	Text       string // one sentence for people
}

// tell publishes an event and logs it.
func (l *loop) tell(e Event) {
	e.Time = time.Now()
	l.s.hub.send(e)
	attrs := []slog.Attr{slog.String("kind", string(e.Kind))}
	for _, a := range []slog.Attr{
		slog.String("app", string(e.App)), slog.String("instance", string(e.Instance)), slog.String("task", string(e.Task)),
		slog.String("host", e.Host), slog.String("deployment", e.Deployment), slog.String("why", e.Text),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	l.s.log.LogAttrs(l.ctx, slog.LevelInfo, "scheduler event", attrs...)
}
