// Package driver is the *adapter port* through which the scheduler reaches machines: it offers what they have free and
// runs tasks on them.
//
// It knows offers, tasks and what became of them. It refuses to know apps, deployments and roles, and it restarts
// nothing by itself: whoever launched a task decides what follows its end.
//
// The implementations are sub-packages: local (processes of this machine), docker and mesos.
// All of them pass the contract suite in drivertest.
//
// # The contract
//
//   - At most once: a task id that was launched is never started a second time, and a task is not started on a volume
//     that another task is using. Launching the same id again is no error and changes nothing.
//   - Tasks outlive the driver: closing it, or killing the process that holds it, touches no task. The next driver over
//     the same machines finds them again.
//   - Every change of a task arrives as [StatusChanged], in order for that task, and is kept until it is acknowledged:
//     an unacknowledged one arrives again from the next driver. The scheduler acknowledges after it has stored it.
//   - Reconcile answers for every task asked about: with its state; with TASK_GONE when the host is there and certainly
//     does not have the task; with TASK_UNREACHABLE or TASK_LOST when nobody can say (rule S7). It also reports every
//     other task the driver holds, so that a scheduler whose store lost them can see them.
//   - Kill ends a task and whatever it left behind, and always answers with a terminal status, also for a task that has
//     ended already. The exception is a host that is not there: its tasks stay unreachable until it returns.
//   - An unreachable task is not a dead one. It becomes terminal only when its host is back and does not have it.
//   - A launch that comes to nothing after it was accepted ends the task with TASK_DROPPED when it was never started and
//     may be tried again (the offer is gone, the host has no room any more), with TASK_ERROR when trying again is of no
//     use, with TASK_FAILED when what it needs could not be had (an image, a file to fetch).
//
// # Volumes
//
// A volume is made in two steps, so that no crash between them leaves one that nobody knows or starts two tasks on one:
// the scheduler stores the id and the host, calls Reserve, and launches after [VolumeChanged] has said that it is there.
//
//   - Reserve makes a volume at most once, empty, for one instance, and says so each time it is asked. A volume on another
//     host or of another instance is refused, never moved or shared.
//   - A volume stays until Destroy: the end of its task, of the driver, of the scheduler and of the power of its host
//     leave it alone. [place.Offer].Volumes lists those of a host from VolumeChanged{There: true} on.
//   - Destroy is refused while a task uses the volume, ends what such a task left behind in it, and answers when nothing
//     of it is left, also the second time. One on a host that is not there waits: Destroy is ErrUnavailable until the host
//     is back. A crash in the middle leaves a volume that is listed still, and Destroy finishes it.
//   - What is kept for a volume (resources, host ports) is counted as free in the offers of its host while no task runs on
//     it: the scheduler knows for whom it is kept and takes it off for everybody else.
//   - VolumeChanged{There: false} that nobody asked for means that the data are lost for certain, not out of reach.
//
// # Health
//
// Checks that run beside the task (COMMAND and those of Mesos) are the driver's. Status.Healthy is true when every one of
// them has passed since the task began, false when one has failed as often in a row as its definition allows (failures in
// the grace period before its first success do not count), nil before. A change of it is a status like any other: kept
// until acknowledged. The driver kills nothing because of it: the scheduler does, which knows better what a database is
// doing.
//
// # On Mesos
//
// The port was made so that a v1 framework needs nothing more:
//
//	Subscribe    SUBSCRIBE with the stored framework id; ERROR "removed" and an id of somebody else: ErrForeign
//	Offers       those held now, those of one agent as one; being asked is the reason to REVIVE, not being asked to SUPPRESS
//	             and DECLINE. RESCIND takes one out of the list: a launch on it is ErrRefused or ends as TASK_DROPPED
//	Reserve      ACCEPT with RESERVE and CREATE, label and persistence id made of Reservation.Volume; VolumeChanged when the
//	             operation's status or the next offer of the agent shows it, There: false with Why when it was refused
//	Launch       ACCEPT with LAUNCH on what carries the label; Kill, Reconcile, Ack are KILL, RECONCILE, ACKNOWLEDGE
//	Destroy      ACCEPT with DESTROY and UNRESERVE when an offer shows the volume; ErrUnavailable until then
//	statuses     TASK_UNKNOWN arrives as TASK_LOST; TASK_GONE_BY_OPERATOR as TASK_GONE, with VolumeChanged{There: false} for
//	             its volume; the reason is part of the message; REASON_INVALID_OFFERS and the like as TASK_DROPPED
//	INVERSE_OFFERS and unavailability in an offer arrive as [HostLeaving], their end as HostLeaving with Stays
//	ERROR        of another scheduler with our id closes Events: the newer one acts, this one must not
package driver
