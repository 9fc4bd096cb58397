// Package health is the *core* that answers the read side of an agent's REST API: path, query and snapshot
// in, status code and body out.
//
// It knows which code a load balancer, a scheduler or an operator gets for which state of the member, and
// the JSON of the status documents, compatible with Patroni's. It refuses to know HTTP itself, and it asks
// nobody anything: whatever is not in the snapshot is not said.
//
// In synchronous mode it tells the replicas that commits wait for from the others, by the promise in the DCS.
//
// GET /metrics has Patroni's names and values, and some of our own.
//
// In pause, and while members agreed on a primary without the DCS, the codes follow what the agents may do then.
//
// On purpose stricter than Patroni: /primary and /leader answer 200 only while this agent's lease lasts on
// its own clock, and /primary also only once the server really accepts writes (docs/divergence.md).
package health
