// Package mesos is the *adapter* that implements the driver port as a Mesos framework: offers are held and used, volumes are
// reserved disks with a label, statuses are acknowledged when the scheduler has stored them.
//
// It knows what the port's words are in Mesos, and what Mesos leaves to its frameworks. It refuses to know apps beyond what a
// task is made of, and it decides nothing: which offer, which volume and what follows the end of a task is the scheduler's.
// The wire is package wire's, the subscription package session's.
//
// # How it is done
//
//   - Offers of one agent are one offer of the port, named by the agent. Being asked for offers is the reason to hold and
//     revive them; when nobody has asked for a while they are declined and offers suppressed.
//   - A volume is made in one ACCEPT: RESERVE of everything the instance needs, with a label that names it, and CREATE of the
//     disk. It is there when an operation status or an offer says so. The label finds it again whatever the agent is called
//     after a reboot; agent ids are only used to talk to agents.
//   - A launch on a volume uses what carries its label and nothing of anybody else's.
//   - What Mesos does not know is not dead: TASK_UNKNOWN becomes TASK_LOST. Where it answers TASK_GONE the agent is there
//     and does not have the task. TASK_GONE_BY_OPERATOR takes the volume with it: that is what the operator said.
//   - The end of the answers to a Reconcile is found with a question about a task that never was: answers come in order.
//
// A framework without a role of its own ("*") cannot reserve, so volumes need one.
package mesos
