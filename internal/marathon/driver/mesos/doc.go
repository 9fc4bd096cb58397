// Package mesos is the *adapter* that implements the driver port as a Mesos framework: offers are held and used, volumes are
// reserved disks with a label, statuses are acknowledged when the scheduler has stored them.
//
// It knows what the port's words are in Mesos, and what Mesos leaves to its frameworks. It refuses to know apps beyond what a
// task is made of, and it decides nothing: which offer, which volume and what follows the end of a task is the scheduler's.
// The wire is package wire's, the subscription package session's.
//
// # Offers
//
// Offers of one agent are one offer of the port, named by the agent. Being asked for offers is the reason to hold and revive
// them; when nobody has asked for a while they are declined and offers suppressed, and what nobody uses goes back for a moment
// now and then, so that other frameworks get their turn. What is asked of an agent within a few milliseconds is one ACCEPT,
// for what is left of its offers comes back only with the next round of the master. A launch waits that long for a volume
// whose last task has just ended.
//
// # Volumes
//
// A volume is made by RESERVE of everything the instance needs, with labels that name volume, instance and framework, and
// CREATE of its disks: on the agent's root disk, or on a disk of its own where its definition says mount. It is there when an
// operation status or an offer says so. The label finds it again whatever the agent is called after a reboot; agent ids are
// only used to talk to agents. What another framework has reserved in our role is shown and never touched: it may be all that
// is left of a database whose scheduler has lost its memory. Nothing but Destroy destroys.
//
// # What is certain
//
//   - An ACCEPT that nobody answers is never repeated. The subscription is renewed instead: the master refuses a call that is
//     still on its way then, and what it says afterwards about tasks and operations is the truth (rule S8).
//   - What Mesos does not know is not dead: TASK_UNKNOWN becomes TASK_LOST, and is asked about again, with the agent, when the
//     host of the task offers something, and every now and then. Where the master answers TASK_GONE the agent is there and
//     does not have the task. An agent that answers at the address of another one has taken its place: tasks of the old one
//     are gone. So is the task of a volume that another agent offers.
//   - TASK_GONE_BY_OPERATOR takes the volumes of the agent with it: that is what the operator said, and nothing else is.
//   - After each subscription everything that runs is asked for, and nothing is launched before the answers: a task that is
//     there is not launched again. Their end is found with a question about a task that never was, for answers come in order.
//   - ERROR of another scheduler with our framework's id ends the events: that one acts.
//
// A framework without a role of its own ("*") cannot reserve, so volumes need one. Resources that an administrator has
// reserved statically are used for tasks that accept the role, never for volumes: Mesos refines no reservation of one role
// by another of the same.
package mesos
