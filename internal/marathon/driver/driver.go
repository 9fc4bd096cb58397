package driver

import (
	"context"
	"errors"
	"time"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
	"github.com/pgbaton/pgbaton/internal/marathon/place"
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
	// Offers lists what is free, one offer for each host that can run something now, sorted by host name.
	Offers(ctx context.Context) ([]place.Offer, error)
	// Launch starts a task. No error means that its statuses follow. Errors: ErrRefused, ErrUnavailable.
	Launch(ctx context.Context, spec Spec) error
	// Kill asks the task to stop and ends it by force after grace. It returns when the request is accepted, not when the
	// task has ended. Killing again changes nothing but shortens the grace when the new one ends earlier.
	Kill(ctx context.Context, task app.TaskID, grace time.Duration) error
	// Reconcile asks for the present state of the tasks; the answers arrive as StatusChanged, then Reconciled.
	Reconcile(ctx context.Context, known []Known) error
	// Ack says that the status is stored and need not arrive again.
	Ack(ctx context.Context, status Status) error
	// Events delivers what happens, always through the same channel. It is closed when the driver is closed.
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
	Image    string // container image, empty when there is none
	Cmd      string // shell command in place of the image's own, or empty
	Args     []string
	User     string // user to run as, empty for the platform's choice
	Env      map[string]string
	Ports    []int // host ports
	// Volume is the id of the volume the task works in. It outlives the task. Empty means a sandbox of the task's own.
	Volume    string
	Resources place.Resources
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

func (StatusChanged) event() {}
func (Reconciled) event()    {}
func (OffersChanged) event() {}

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
