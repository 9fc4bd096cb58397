// Package guard is the *adapter* to the guard: a small process beside the agent that stops the server when the agent
// cannot (rule S3). It has both sides: Guard is the agent's, Serve is the whole life of the process.
//
// It knows one data directory, the kernel's clocks, timers and process handles, and when to act. It refuses to know
// why: leases, roles, pause and the DCS are the agent's business, which says "stop whatever runs on this directory at
// that instant, unless I say something else before".
//
// # The agreement
//
// Before a server of the agent's can accept writes, and after every renewal of the lease, the agent gives an Order. It
// counts when the guard has confirmed it. A new order replaces the old one wholly. Instants are absolute and of
// CLOCK_BOOTTIME, which goes on while the machine is suspended.
//
// An order is for the directory. The server's process number, where it is known, only makes the guard independent of a
// look around, and lets it end early with the server when the agent is dead.
//
//	state   what happens              what follows
//	─────   ───────────────────────   ──────────────────────────────────────────────────────────────────────────
//	any     arm                       armed by this order; confirmed when the timer is set
//	any     disarm                    idle; confirmed
//	any     farewell                  the process ends
//	idle    the agent dies (EOF)      the process ends
//	armed   the agent dies (EOF)      armed; nobody can prolong it any more
//	armed   the server ends           agent alive: armed, as the next server may come up under the same order
//	                                  agent dead, no server on the directory: the process ends
//	armed   news and the instant      the news first: what was said in time counts even when the guard is late
//	armed   the instant               the server is stopped, a note is left; agent dead: the process ends, barred otherwise
//	barred  another server comes up   it is stopped like the first one
//	barred  the agent dies (EOF)      the process ends
//
// Barred is for an agent that was frozen between giving its order and starting the server, and that goes on with that
// long after: what it starts is stopped until it has looked at the world again and says so by a new order.
//
// # Stopping
//
// From the instant to the deadline the means get harder: fast shutdown (SIGINT), which ends the sessions at once and still
// hands the standbys what was acknowledged; after half of the time immediate shutdown (SIGQUIT); after three quarters
// SIGKILL for the postmaster and, since one of its processes could still acknowledge a commit, for all of them. A guard
// that is late, because the machine was suspended, begins where it should be by then. A killed postmaster makes no new
// processes, so the look around is repeated until it finds none. Nothing is ever left half-done in a way that a second
// guard, or the agent's own clean-up, could not finish: the guard itself may be killed at any moment.
//
// # Two agents, one after the other
//
// The guard of a dead agent stays in charge until the next agent's guard has confirmed an order; then that agent ends it.
// It is found by the lock that every guard holds on one byte of DATADIR.guard, at the offset of its process number: the
// kernel says who holds it, and a process that ends loses it.
//
// # What it does not cover
//
// A machine that goes on after a suspension goes on with all processes at once: until the guard has run, which takes
// milliseconds, the server may answer. A kernel that runs no processes at all is the business of a watchdog device.
package guard
