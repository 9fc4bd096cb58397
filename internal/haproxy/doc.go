// Package haproxy is the *adapter* of one HAProxy process: its configuration, its life, and the runtime
// socket through which servers come, go and change their state.
//
// It knows how a route.Change is told to HAProxy and how route.Seen is read from it. It refuses to know
// which server should be up and why (package route) and when to look (package proxy).
//
// # What was tried, and what follows from it
//
// The findings are HAProxy 2.6's, the oldest version that can do this; the tests hold most of them.
//
// Servers are dynamic. The configuration file has frontends and backends only; every server comes through
// "add server". A changed member is never a reload, because a worker that was told to finish after a
// reload keeps its sessions but stops its checks: a session to a demoted leader would stay open there and
// nobody could close it. For the same reason a change of the frontends is a restart and not a reload, and
// without reloads the master-worker mode has nothing to give: HAProxy is one process.
//
// A server enters without weight. "enable server" makes an added server "up" before its first check, and
// "set server health" is not heard in maintenance. So the server is enabled with weight 0, gets its
// health, then its weight, and its checks last; no connection ever goes to a server that was not judged.
//
// State is forced by health, not by maintenance. "set server health up|down" takes effect at once (new
// connections go to the new leader within a millisecond, sessions of the old one end by on-marked-down
// shutdown-sessions) and the checks stay in charge afterwards. Should our process die, HAProxy goes on
// following its checks. With maintenance the old leader would stay out until somebody came back to let
// it in, and a check could not say so.
//
// The numbers of the checks: inter 1s, fastinter 700ms, fall 3, rise 3. A forced state is overturned only
// by several checks in a row: an old leader that answers 200 for some milliseconds after its key moved does
// not come up again, a new leader that answers 503 for as long does not go down, and a check that was under
// way at that instant counts once. Going down takes at least 1.4 s of evidence, more than the second after
// which a lost agent is started again: its server served all the while, and with fall 2 it was cut off for
// two seconds when both checks met the gap. (With rise 1 a single stale 200 put the old leader up 0.2 to
// 0.9 s after it was forced down.) Rise is as fall, so that without us the old leader is down when the new
// one comes up, give or take one check: a new leader is then followed by the checks alone in two to three seconds.
//
// An old leader whose agent answers 200 for longer is put up by HAProxy all the same. HAProxy tells that
// at once on a datagram socket (its log), Process.Wake passes it on, and it is taken down again within
// milliseconds. Nothing has to be polled, and nobody listening does no harm.
//
// A refused connection is tried again after the connect timeout, a second at most, wherever the service
// goes by then. At the usual two seconds a client that connected just before the leader moved waited for
// one; at 250 ms it is there after a quarter of that.
//
// A leader that is slow or cut off from here is taken down by three failed checks and comes up by three good
// ones; nobody overrides that (see package route).
//
// # Its life
//
// HAProxy must survive us. It has its own session, writes to a file of its own and is adopted by the next
// Open: its process answers on the socket in our directory, and number, start time and configuration are
// those of the record we left. It is watched through a pidfd, so its end is an event and a signal never
// hits a stranger, and started again when it ends. It comes back without servers; Wake says so.
//
// "haproxy -c" checks the configuration but not whether the ports are free; that is read from the
// complaint of a start (BindError). The option noreuseport is needed for it: without, a second HAProxy of
// the same user listens on the same ports and each gets half of the connections.
package haproxy
