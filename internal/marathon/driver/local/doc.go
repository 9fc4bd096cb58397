// Package local is the *adapter* that runs tasks as processes of this machine, on as many virtual hosts as are
// configured. It implements driver.Driver and driver.Switchable and works on Linux only.
//
// It knows processes, folders and ports. It refuses to know what a task does, PostgreSQL included.
//
// # Hosts
//
// A host is a name, an address of this machine (127.0.0.11, …), an amount of resources and ranges of ports. Resources
// are promised, not enforced. A single port beside a range (5432) is offered only while nothing else listens on it.
//
// # Volumes and sandboxes
//
// A task with a volume works in Dir/volumes/<id>, which stays when the task ends; one without works in
// Dir/sandboxes/<task>, which is deleted with it. Either way it is the working folder of the task, named by
// MESOS_SANDBOX and PGBATON_VOLUME_ROOT, and every absolute state path of the task is meant to lie inside it. Output
// goes to Dir/logs/<instance>.log, a plain file: a pipe would die with this process, the task must not.
//
// Volumes of a definition are folders in that folder, wherever their containerPath lies: a persistent one "data" or "/data"
// is the folder data in it, a secret is a file there that only the task's user can read. Folders of the machine are shown
// only where the configuration opens them (Config.HostPaths), by a symbolic link and therefore without regard to mode RO.
// Files to fetch are brought before the task starts, those of the machine read with the rights of the task, and nothing is
// written outside of the folder, whatever an archive says.
//
// # Health
//
// COMMAND checks run in the folder of the task with its environment and user; those of MESOS_HTTP, MESOS_HTTPS and MESOS_TCP
// ask the address of its host.
//
// # Never twice
//
// A task runs in a session of its own and outlives this process. What makes that safe is the order of things:
//
//	record "launching" ─ fork ─ shell at the gate: "ready" ─ record pid, start time, boot id ─ open the gate ─ exec
//
// The shell waits at a pipe before it becomes the task. If this process dies anywhere before the gate opens, the pipe
// breaks and the shell exits without having done anything. A record that has no pid when the driver opens again is
// resolved by looking for a process that carries the task's MESOS_TASK_ID. A record with a pid is adopted when that
// process still lives: same pid, same start time, same boot. Exits are waited for through pidfds, nothing polls.
//
// # The whole task
//
// A task is its main process and every process whose working folder lies inside its folder. Environment variables would
// not do as a mark: PostgreSQL overwrites them to set its process titles. Processes with a terminal are left out, they
// belong to a person who looks around. When the main process of a task with a volume ends by itself the others are left
// alone, so that the next incarnation can adopt a running server; a Kill ends them all.
package local
