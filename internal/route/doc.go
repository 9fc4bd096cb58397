// Package route is the *core* that turns the picture of a cluster into the routing HAProxy should do, and
// the difference to the routing it does into steps.
//
// It knows services (one port for writes, one for reads, one for the leader's REST API), servers, and in
// which order a server may be taken down, moved and put up. It refuses to know how HAProxy is told
// (package haproxy), when (package proxy), and whether a server answers: that is for HAProxy's own checks.
//
// # Who decides what
//
// Two things know about a server. The picture knows who holds the leader key, the instant it moves. The
// checks HAProxy runs by itself know whether a server answers, a second or two late, and go on when
// nobody drives HAProxy any more. So a wanted health is one of three:
//
//   - Up: the picture is sure. The server is put up once, at the moment the picture begins to say so;
//     a check that fails afterwards wins, because a server that cannot be reached from here is of no use
//     whatever its member says of itself.
//   - Down: the picture is sure. In the exclusive services (Writes, LeaderAPI) it is enforced every time:
//     a former leader whose REST API still says "primary" must not get a session. In Reads it is told
//     once, since there a member's document may be older than the check.
//   - Checked: the picture is not sure (rule S7, unknown is not dead) and the checks decide alone: the
//     holder of the leader key while it starts, stops or promotes, or a replica that runs but does not
//     stream just now. The sessions it has are left alone.
//
// # The services
//
//   - Writes: the member that holds the leader key and says that it is a running primary is Up. Every
//     other member is Down, whether anybody holds the key or not.
//   - LeaderAPI: the REST API of the member that holds the leader key is Up, every other one is Down.
//   - Reads: a replica that runs and streams is Up, unless its tag noloadbalance asks otherwise. When no
//     server of Reads is up, HAProxy sends its connections where Writes goes: reading from the leader is
//     better than not reading. The choice is made by HAProxy for each connection, so it needs no driver;
//     Wanted.Lines makes it visible.
//
// A member that vanished from the picture leaves the exclusive services at once. Reads forgets it only
// when its check has failed too: its agent may merely have lost the DCS.
//
// The scenarios in testdata/scenarios read as the specification; the laws are in laws_test.go.
package route
