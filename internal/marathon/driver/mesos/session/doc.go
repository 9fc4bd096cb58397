// Package session is the *adapter* to a Mesos master: it keeps one subscription of a framework alive, wherever the master
// that leads is, and carries calls and events.
//
// It knows HTTP, the event stream, heartbeats, redirects and who of several masters leads. It refuses to know what calls and
// events mean: tasks, offers and operations are the driver's.
//
// # Rules
//
//   - A framework has one subscription. It lasts until the master closes it, says ERROR, or says nothing for several
//     heartbeats; then the leading master is looked for and the framework subscribes again, after a pause that grows.
//   - A call is sent once, on the subscription it was made for. Silence is [ErrUnavailable]: the call may have been carried
//     out (rule S8), and whoever made it asks Mesos what became of it. A no of the master is [ErrRejected].
//   - An answer 307 names the leader without a scheme: host and port are taken from it, and nothing is followed silently.
//   - An ERROR event says that somebody else subscribed with our id, or that the framework was removed: [ErrFailedOver] and
//     [ErrRemoved] end the session. Going on would mean to fight over the tasks.
package session
