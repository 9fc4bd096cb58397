package deploy

import (
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Goal is what is wanted of an instance.
type Goal string

// The goals.
const (
	GoalRunning   Goal = "running"
	GoalSuspended Goal = "suspended" // no task; place and volume are kept for its return
	GoalGone      Goal = "gone"      // no task, and to be forgotten
	GoalWiped     Goal = "wiped"     // no task, its volume destroyed, and to be forgotten
)

// Instance is one place of an app, for life. Its tasks come and go; a PostgreSQL member keeps its volume, host and ports
// through all of them. The JSON is what the store holds.
type Instance struct {
	ID   app.InstanceID `json:"id"`
	App  app.ID         `json:"app"`
	Goal Goal           `json:"goal"`

	// Incarnation counts its tasks; the latest is described by what follows.
	Incarnation int               `json:"incarnation"`
	Version     app.Timestamp     `json:"version,omitzero"` // of the definition it was launched with
	Host        string            `json:"host,omitempty"`
	Address     string            `json:"address,omitempty"`
	AgentID     string            `json:"agentId,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"` // of the host, for constraints while it is unreachable
	Ports       []int             `json:"ports,omitempty"`      // in the order of app.Ports
	State       app.TaskState     `json:"state,omitempty"`
	Message     string            `json:"message,omitempty"`
	// Addresses are those of its task in a network of its own, as the driver tells them; else it is reached at Address.
	Addresses []app.IPAddress `json:"addresses,omitempty"`

	Volume string `json:"volume,omitempty"` // empty: a sandbox for each task
	Bound  bool   `json:"bound,omitempty"`  // its volume is there, so it cannot run elsewhere any more
	// ReservedAt is when the driver was asked for the volume on Host, DestroyedAt when it was asked to destroy it; zero
	// when it was not, or has answered.
	ReservedAt  app.Timestamp `json:"reservedAt,omitzero"`
	DestroyedAt app.Timestamp `json:"destroyedAt,omitzero"`
	// Deleted means that it loses its volume because its app was deleted with all of them, and not by a wish of its own.
	// Who takes the deletion back takes this back.
	Deleted bool `json:"deleted,omitempty"`

	StagedAt         app.Timestamp `json:"stagedAt,omitzero"`
	StartedAt        app.Timestamp `json:"startedAt,omitzero"`
	EndedAt          app.Timestamp `json:"endedAt,omitzero"`
	UnreachableSince app.Timestamp `json:"unreachableSince,omitzero"`

	// What a stop needs to know, kept here because the definition may be deleted by then.
	Postgres     bool `json:"postgres,omitempty"`
	AgentPort    int  `json:"agentPort,omitempty"` // host port of the agent's REST API, 0 when it has none
	GraceSeconds int  `json:"graceSeconds"`

	// Kill is a request of a person to end the task, until it has ended; of an instance that is to lose its volume, until
	// that is gone.
	Kill *Kill `json:"kill,omitempty"`
	// Stopping is set before the driver is asked to end the task, and cleared when the driver says that it has ended.
	Stopping *Stopping `json:"stopping,omitempty"`
	// Clean means that the driver was asked to end the task and said it has: nothing of it is left, not even a server
	// that a dead agent left behind.
	Clean bool `json:"clean,omitempty"`
	// Failures counts tasks in a row that ended by themselves before they ran long enough. A person who resets the delay of
	// an app sets it to zero.
	Failures int `json:"failures,omitempty"`
	// Led means that it led when it was stopped. Of a stopped cluster the old leader is started first.
	Led bool `json:"led,omitempty"`
}

// Kill is a request of a person to end the task of an instance. What becomes of the instance is its goal's matter.
type Kill struct {
	At    app.Timestamp `json:"at"`
	Task  app.TaskID    `json:"task"`            // the task that was meant: a later one is not
	Force bool          `json:"force,omitempty"` // the gate does not stand in the way
	Cause string        `json:"cause"`
}

// Stopping is a stop under way.
type Stopping struct {
	At    app.Timestamp `json:"at"`
	Cause string        `json:"cause"`
}

// Task is the id of the latest task.
func (i Instance) Task() app.TaskID { return app.NewTaskID(i.ID, i.Incarnation) }

// Live reports whether the latest task has not ended, as far as anybody knows.
func (i Instance) Live() bool { return i.State != "" && !i.State.Terminal() }

// Unreachable reports whether nobody can say how the task is.
func (i Instance) Unreachable() bool {
	return i.State == app.TaskUnreachable || i.State == app.TaskLost
}

// running reports whether the task does what it was launched for, as far as its host can tell.
func (i Instance) running() bool { return i.State == app.TaskRunning && i.Stopping == nil }

// busyStopping reports whether a stop is under way that will end. On an unreachable host it may never.
func (i Instance) busyStopping() bool { return i.Stopping != nil && !i.Unreachable() }

// settled reports whether nothing is left of the instance that would have to be stopped.
func (i Instance) settled() bool {
	return !i.Live() && i.Stopping == nil && (i.Clean || i.Incarnation == 0)
}

// killed reports whether a person asked for the end of the task that runs now.
func (i Instance) killed() bool {
	return i.Kill != nil && i.Kill.Task == i.Task() && i.Live() && i.Stopping == nil
}

// outdated reports whether the latest task runs an older configuration than a's.
func (i Instance) outdated(a app.App) bool { return i.Version < a.VersionInfo.LastConfigChangeAt }

// Resident reports whether the instances of an app keep their data in a volume of their own.
func Resident(a app.App) bool {
	if a.IsPostgres() {
		return true
	}
	if a.Container == nil {
		return false
	}
	for _, v := range a.Container.Volumes {
		if v.Persistent != nil {
			return true
		}
	}
	return false
}

// Grace is how long the task may take to end in order.
func (i Instance) Grace() time.Duration { return time.Duration(i.GraceSeconds) * time.Second }

// grace is the app's own, else one that fits. A PostgreSQL server writes a last checkpoint, which can take minutes on a
// slow disk; killing it then costs a crash recovery.
func grace(a app.App) int {
	if a.TaskKillGracePeriodSeconds != nil {
		return *a.TaskKillGracePeriodSeconds
	}
	if a.IsPostgres() {
		return postgresGraceSeconds
	}
	return plainGraceSeconds
}

const (
	postgresGraceSeconds = 120
	plainGraceSeconds    = 5
)
