// Package docker is the *adapter* that runs tasks as containers of Docker daemons, over the Engine API. It implements
// driver.Driver.
//
// It knows containers, images, volumes and the daemons that have them. It refuses to know what a task does, PostgreSQL
// included.
//
// # Hosts
//
// A daemon has one or several hosts: a name, an address at which published ports are reached, an amount of resources and
// ranges of ports. Tasks find every host and alias by name (their /etc/hosts). CPUs are shares, memory is a limit, as with
// Mesos; disk is promised only.
//
// # What is remembered, and where
//
// Nothing outside of the daemons. A container carries its task as labels ([record]), a volume its instance, both the
// framework they were made for. So any scheduler that reaches a daemon finds everything again, and the death of a driver
// at any instant loses nothing:
//
//	before the container was made   the task never was: a reconciliation answers TASK_GONE
//	made, not started               the next driver removes it (refused by the daemon, should it start just then) and
//	                                says TASK_DROPPED
//	started                         adopted
//	ended                           stays, with its exit code and log, until its last status is acknowledged
//	kill under way                  the daemon itself ends the grace; the next driver is asked again by its scheduler
//
// # Never twice
//
// The name of a container is that of the volume it works in, or of its task where it has none, and a daemon gives a name
// once: two schedulers that believe in themselves can start one task on a volume, not two. No container restarts by itself.
//
// # Volumes
//
// A volume is a named volume of the daemon, made by Reserve with the instance as a label; it is mounted as the task's
// sandbox (MESOS_SANDBOX) unless the definition has persistent volumes. What those name, or where there are none what the
// image declares as VOLUME, are further named volumes of the same instance, so that a definition without any word about
// volumes keeps the data of a database. Destroy removes the first one last.
//
// # Events
//
// Each daemon is followed by its stream of events; while that stands, nothing is asked twice. A stream that breaks makes
// the tasks of its hosts unreachable, not dead, until the daemon answers again and everything is looked at anew. A daemon that
// hangs keeps its stream open and is silent, so it is asked now and then whether it answers.
//
// # What is refused
//
// What this driver cannot give is refused at the launch, in a sentence that the app shows: options of docker run that are the
// platform's or that nobody knows (parameters.go has those that are honoured), executors, profiles of Mesos' agents. What an answer
// of the daemon refuses, a full disk say, is definite; its silence never is.
package docker
