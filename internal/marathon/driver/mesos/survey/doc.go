// Package survey is an *adapter*: it looks at a Mesos cluster and says what of it a database could not live with.
//
// [Look] asks the leading master by its operator API, and each agent by its own; [Cluster.Judge] is pure and says what that
// means. The package changes nothing, and tells only what can be observed: what nobody was allowed to see is told as such.
package survey
