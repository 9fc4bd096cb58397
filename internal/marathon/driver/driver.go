package driver

import (
	"context"
	"errors"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
	"github.com/pgbaton/pgbaton/internal/secret"
)

// The errors a caller may branch on. Implementations wrap them, so test with errors.Is.
var (
	// ErrRefused means the task was not started and will not be. Definite.
	ErrRefused = errors.New("task refused")
	// ErrUnavailable means the platform gave no answer. NOT definite: the task may have been started; Reconcile tells.
	ErrUnavailable = errors.New("platform did not answer")
	// ErrForeign means the machines hold tasks or volumes of another framework than the one that subscribes, so its
	// store is not the one these were made from.
	ErrForeign = errors.New("tasks or volumes belong to another framework")
)

// Driver is the port. Its methods may be called from several goroutines at once.
type Driver interface {
	// Subscribe introduces the scheduler and comes before everything else. framework is the id its store remembers,
	// empty for a scheduler that never subscribed; the id to remember is returned. Errors: ErrForeign, ErrUnavailable.
	Subscribe(ctx context.Context, framework string) (string, error)
	// Offers lists what is free, one offer for each host that can run something now, sorted by host name. It is called
	// while something waits for a place, and again after OffersChanged.
	Offers(ctx context.Context) ([]place.Offer, error)
	// Reserve makes a volume on the host of an offer and keeps it, with the resources of the tasks to come, for one
	// instance. No error means that a VolumeChanged follows, with There false when it was refused late. Asking again for a volume that is there changes nothing but
	// brings the answer again. Errors: ErrRefused, ErrUnavailable.
	Reserve(ctx context.Context, r Reservation) error
	// Destroy removes a volume with everything in it and gives back what was kept with it. No error means that a
	// VolumeChanged follows, also for a volume that nobody has any more. Errors: ErrRefused while a task uses the volume,
	// ErrUnavailable.
	Destroy(ctx context.Context, v Volume) error
	// Launch starts a task. No error means that its statuses follow. Errors: ErrRefused, ErrUnavailable.
	Launch(ctx context.Context, spec Spec) error
	// Kill asks the task to stop and ends it by force after grace. It returns when the request is accepted, not when the
	// task has ended. Killing again changes nothing but shortens the grace when the new one ends earlier.
	Kill(ctx context.Context, task app.TaskID, grace time.Duration) error
	// Reconcile asks for the present state of the tasks; the answers arrive as StatusChanged, then Reconciled.
	Reconcile(ctx context.Context, known []Known) error
	// Ack says that the status is stored and need not arrive again.
	Ack(ctx context.Context, status Status) error
	// Events delivers what happens, always through the same channel. It is closed when the driver is closed, and when the
	// platform has given the subscription to another scheduler: whoever reads it must not act any more then.
	Events() <-chan Event
	// Close lets go of the platform and leaves every task running.
	Close() error
}

// Spec is a task to be run.
type Spec struct {
	Task     app.TaskID
	Instance app.InstanceID
	Offer    string // the offer it takes from
	Host     string // the host of that offer
	// App is the definition the task is launched with: image, command, volumes, networks, what to fetch, health checks
	// that run beside the task, labels, the grace of its end.
	App app.App
	Env map[string]string // complete: what is generated and the app's own, secrets included
	// Secrets are the values of the app's secrets by their name in the definition, for volumes that show them as files.
	Secrets map[string]secret.Text
	Ports   []int // host ports, one for each of App.Ports, 0 for one that is not published
	// Volume is the id of the volume the task works in. It outlives the task. Empty means a sandbox of the task's own.
	Volume    string
	Resources place.Resources
}

// Image is the container image of the task, empty when it has none.
func (s Spec) Image() string {
	if s.App.Container == nil || s.App.Container.Docker == nil {
		return ""
	}
	return s.App.Container.Docker.Image
}

// HostPorts are the host ports that the task takes.
func (s Spec) HostPorts() []int {
	var ports []int
	for _, port := range s.Ports {
		if port != 0 {
			ports = append(ports, port)
		}
	}
	return ports
}

// Reservation is a volume to be made.
type Reservation struct {
	Volume    string
	Instance  app.InstanceID
	Offer     string // the offer it takes from
	Host      string // the host of that offer
	App       app.App
	Ports     []int // host ports to keep for the instance, as in Spec
	Resources place.Resources
	// Attempt tells this request from an earlier one for the same volume on the same host.
	Attempt app.Timestamp
}

// Volume is a volume somebody asks about, with the host it lies on.
type Volume struct {
	ID   string
	Host string
}

// Known is a task somebody asks about, with the host it was launched on.
type Known struct {
	Task app.TaskID
	Host string
}

// Status is what became of a task.
type Status struct {
	// ID tells this status from the others of its task, for Ack; empty when it needs no acknowledgement.
	ID    string
	Task  app.TaskID
	State app.TaskState
	Host  string
	// Message is one sentence for people, in the case of a failure with the last lines of the task's log.
	Message string
	Time    time.Time
	// Healthy is what the health checks say that run beside the task (COMMAND, MESOS_*); nil before the first result and
	// for a task that has none.
	Healthy *bool
	// Addresses are those of the task itself where it does not share the network of its host.
	Addresses []app.IPAddress
}

// Event is something that happened at the platform.
//
//sumtype:decl
type Event interface{ event() }

// StatusChanged brings a new state of a task, or repeats one that was asked for or not acknowledged.
type StatusChanged struct{ Status Status }

// Reconciled follows the answers to a Reconcile, as far as they can be had now. It does not mean that each task was
// answered for with certainty.
type Reconciled struct{}

// OffersChanged says that something may fit now that did not fit before.
type OffersChanged struct{}

// VolumeChanged says that a volume is there, or that it is gone for good. It answers Reserve and Destroy and may come at
// any other time, more than once.
type VolumeChanged struct {
	Volume Volume
	There  bool
	Why    string // one sentence, where a reservation was refused late
	// Attempt is the reservation that was refused late: a later one may be on its way already, and is answered for itself.
	// Zero where it is not the answer to a reservation.
	Attempt app.Timestamp
}

// HostLeaving says that a host will be taken away by who runs the machines (maintenance), so that what runs there can be
// moved or handed over before. Nothing is stopped by it.
type HostLeaving struct {
	Host  string
	At    time.Time // when it goes, zero when nobody says
	Stays bool      // it was called off, or is over
	Why   string    // one sentence for people
}

func (HostLeaving) event()   {}
func (StatusChanged) event() {}
func (VolumeChanged) event() {}
func (Reconciled) event()    {}
func (OffersChanged) event() {}

// Heir is what a driver offers beyond Driver whose platform keeps volumes under the id of the framework that made them.
type Heir interface {
	// Inherit comes before Subscribe and names the frameworks that the scheduler was before. Their volumes are its own.
	Inherit(former []string)
}

// Watcher is what a driver offers beyond Driver whose platform tells of the loss of a volume only when it is asked.
type Watcher interface {
	// Watch names volumes that no task uses now, each with the platform's id of the agent it lay on: the driver asks for
	// them until it hears that they are there or, as VolumeChanged, that they are lost.
	Watch(volumes map[Volume]string)
}

// States of a host in app.HostStatus.
const (
	HostRunning = "running"
	HostStopped = "stopped"
)

// Switchable is what a driver offers beyond Driver when it can cut and restore the power of its hosts.
type Switchable interface {
	// Hosts lists the hosts, sorted by name.
	Hosts(ctx context.Context) ([]app.HostStatus, error)
	// KillHost cuts the power: everything on the host dies at once and it offers nothing until StartHost.
	KillHost(ctx context.Context, name string) error
	// StartHost restores it. Killing a dead host and starting a living one are no errors.
	// A name nobody has is app.ErrUnknownHost.
	StartHost(ctx context.Context, name string) error
}
