// Package api is the *shell* that serves an agent's REST API over HTTP.
//
// It knows routes, bodies, codes and deadlines. Reads are answered by package health from the last snapshot;
// writes are checked by the pure ha.Check functions, handed to the agent's loop, and answered when their
// result shows in a later snapshot. It refuses to decide anything, holds no state but that of its
// connections, and is given the agent as an interface.
//
// Everybody may read. Who may change something, in what order that is looked at, and what is refused without being asked to is
// in access.go; what of it all a configuration says, and may change while the API serves, is Options.
//
// Slow or hostile clients cost nothing but their own connection: handshakes, headers, bodies, answers and idle time are bounded
// (server.go), and so is how many connections there are (door.go) and how often requests make the agent look (look.go). The
// status document, which load balancers ask for all the time, is written once for each snapshot (answer.go).
//
// testdata/corpus is what a real Patroni answered in many states (see package corpus); differences.txt there lists what is
// answered differently, with reasons.
package api
