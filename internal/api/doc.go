// Package api is the *shell* that serves an agent's REST API over HTTP.
//
// It knows routes, bodies, codes and deadlines. Reads are answered by package health from the last snapshot;
// writes are checked by the pure ha.Check functions, handed to the agent's loop, and answered when their
// result shows in a later snapshot. It refuses to decide anything, holds no state but that of its
// connections, and is given the agent as an interface.
//
// Slow or hostile clients cost nothing but their own connection: headers, bodies and idle time are bounded.
package api
