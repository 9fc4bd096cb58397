// Package driver is the *adapter port* through which the scheduler reaches machines: it offers what they have free and
// runs tasks on them.
//
// It knows offers, tasks and what became of them. It refuses to know apps, deployments and roles, and it restarts
// nothing by itself: whoever launched a task decides what follows its end.
//
// The implementations are sub-packages: local (processes of this machine) is there, docker and mesos fit the same shape.
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
package driver
