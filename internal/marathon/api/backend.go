package api

import (
	"context"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Backend is everything the API serves. Only Scheduler is required: paths that need a part that is nil are answered with
// 404 and a sentence that says so.
type Backend struct {
	Scheduler  Scheduler
	History    History
	Tasks      Tasks
	Feed       Feed
	Leadership Leadership // nil: this scheduler is the only one
	Clusters   Clusters
	Metrics    Metrics
	Hosts      Hosts // nil where the driver's hosts have no power switch
	Drains     Drains
	Volumes    Volumes
	Waits      Waits
	Groups     Groups // nil: groups have nothing of their own
	// Loaded reports whether the scheduler has read its state; nil: it always has. Until then nothing it could say is true.
	Loaded func() bool
}

// Scheduler is what the API serves. Its methods may be called from many goroutines; what they return belongs to the
// caller.
type Scheduler interface {
	// Apps are all definitions, sorted by id.
	Apps() []app.App
	// App is one definition; false when there is none.
	App(id app.ID) (app.App, bool)
	// Tasks are the tasks of one app in their newest state, sorted by id.
	Tasks(id app.ID) []app.Task
	// Deployments are the running deployments, oldest first.
	Deployments() []app.Deployment
	// Apply runs change on a copy of all definitions while nothing else may change them, stores the result and starts
	// one deployment for the difference; without force it refuses apps that a running deployment touches with an
	// [*app.LockedError]. An error of change refuses everything and is returned as it is. change may run more than once.
	Apply(ctx context.Context, change func(*app.Definitions) error, o app.ApplyOptions) (app.Deployment, error)
	// Cancel ends a running deployment: with force it is abandoned where it is, without it the returned deployment leads
	// back to what was before. The bool is false when no such deployment runs.
	Cancel(ctx context.Context, deployment string, force bool) (app.Deployment, bool, error)
}

// History are the versions of apps that were, newest first.
type History interface {
	// Versions are those of one app, empty when there is no such app.
	Versions(ctx context.Context, id app.ID) ([]app.Timestamp, error)
	// Version is the app as it was then; false when that version is not kept.
	Version(ctx context.Context, id app.ID, version app.Timestamp) (app.App, bool, error)
	// GroupVersions and GroupVersion are the same for all definitions at once.
	GroupVersions(ctx context.Context) ([]app.Timestamp, error)
	GroupVersion(ctx context.Context, version app.Timestamp) (app.Definitions, bool, error)
}

// Tasks are what can be done to single tasks, and what is known of those that do not run.
type Tasks interface {
	// Kill ends tasks. It returns those it was asked to end as they were, and with Scale the deployment that wants fewer.
	// Ids nobody knows are left out. Without force a deployment that touches the app is an [*app.LockedError] where the
	// number of instances changes.
	Kill(ctx context.Context, tasks []app.TaskID, o app.KillOptions) ([]app.Task, *app.Deployment, error)
	// Queue are the apps with instances that wait to be launched, sorted by id.
	Queue() []app.Queued
	// ResetDelay ends the pause of an app whose tasks ended too soon; false when nothing of it is queued.
	ResetDelay(ctx context.Context, id app.ID) (bool, error)
	// Failure is how the last task of the app that failed has ended; false when none has.
	Failure(id app.ID) (app.TaskFailure, bool)
	// Readiness are the results of the readiness check of an app in a deployment.
	Readiness(id app.ID) []app.ReadinessResult
}

// Feed delivers what happens from now on until ctx ends; then, or when its reader falls behind, the channel is closed.
type Feed interface {
	Feed(ctx context.Context) <-chan app.Event
}

// Leadership says which of several schedulers acts.
type Leadership interface {
	// Leader is the host:port of the API of the scheduler that leads; false when nobody is known to.
	Leader() (string, bool)
	// Leads reports whether it is this one.
	Leads() bool
	// Changed is closed when somebody else leads than when it was asked for.
	Changed() <-chan struct{}
	// Abdicate gives the lead up; another scheduler, or this one again, takes it.
	Abdicate(ctx context.Context) error
}

// Clusters are the PostgreSQL apps with their members.
type Clusters interface {
	// Clusters asks the members of all of them, sorted by id; Cluster those of one.
	Clusters(ctx context.Context) []app.Cluster
	// IsCluster reports whether an id is that of one, or of a deleted one of which some is left.
	IsCluster(id app.ID) bool
	Cluster(ctx context.Context, id app.ID) (app.Cluster, error)
	// Switchover hands the lead over and returns when it is done: to the member of that name, or to the best for "".
	Switchover(ctx context.Context, id app.ID, candidate string) error
	// Pause tells the cluster to be left alone, or not any more.
	Pause(ctx context.Context, id app.ID, on bool) error
}

// Metrics are the scheduler's own numbers by Marathon's name, "marathon.instances.running.gauge" for example. Names end in
// the kind of the number: gauge or counter.
type Metrics interface {
	Metrics() map[string]float64
}

// Hosts are the virtual hosts of a driver that has them. Errors about a name nobody has wrap [app.ErrUnknownHost].
type Hosts interface {
	Hosts() []app.HostStatus
	// KillHost is a power cut: everything on the host ends at once.
	KillHost(ctx context.Context, name string) error
	StartHost(ctx context.Context, name string) error
}

// Drains take hosts out of use for a while, whatever the driver. Errors about a name nobody has wrap [app.ErrUnknownHost].
type Drains interface {
	// Drain moves off a host what can be moved and stops what cannot, or ends that again. It is stored when it returns; what
	// follows takes its time. The cause is a sentence for people.
	Drain(ctx context.Context, host string, on bool, cause string) error
	// Draining are the hosts that are drained, each with the cause.
	Draining() map[string]string
}

// Waits are what the scheduler would do and does not do now.
type Waits interface {
	// Waits are sorted by app; what is about an app comes before its instances.
	Waits() []app.Wait
}

// Volumes are the volumes on offered hosts that belong to nothing the scheduler knows.
type Volumes interface {
	// StrayVolumes are sorted by host and id.
	StrayVolumes(ctx context.Context) ([]app.StrayVolume, error)
	// AdoptVolumes makes members of those of an app that the scheduler does not know. Errors: app.ErrNotStray, app.ErrNoVolume.
	AdoptVolumes(ctx context.Context, id app.ID) ([]app.StrayVolume, error)
}

// Groups are what groups have beyond the apps in them.
type Groups interface {
	// Groups are those that have something of their own, by id.
	Groups() map[app.ID]app.Group
}
