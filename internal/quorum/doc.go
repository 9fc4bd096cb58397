// Package quorum is the *core* of synchronous replication: the pure function that says which step is safe next, on the way
// from what commits wait for now to what they shall wait for.
//
//	mem, step := quorum.Next(mem, view)
//
// # The two sides
//
// A server's synchronous_standby_names say for whom its commits wait: n of the standbys in S. The promise, in the sync key,
// says who may lead next: a member of M, which is the voters V and the leader L, once q other members of M are seen to hold
// no newer WAL than it does. Every acknowledged commit is on the leader and n of S, so it is found again when any q+1 of M
// meet any n+1 of S and L:
//
//	|V ∪ L ∪ S ∪ L| ≤ q + n + 1                                                                          (rule S5)
//
// The leader of a promise may win alone, for it holds all that it acknowledged; and where q is all of V or more nobody wins
// without it. With synchronous_mode on, n is all of S, V is
// S and q is zero: each voter has everything. With quorum, S and V are all standbys that keep up, and q is the rest, |S| - n.
//
// # The order of steps
//
// One side changes at a time, and the inequality holds before, between and after: where the next names need it the promise
// is changed first to one that covers both, and to the wanted one only after the names are in force and settled. While the
// server's processes learn of new names, a commit may be acknowledged by the smaller count of the one and the standbys of
// either, so that is covered too, and no further change begins before all are heard: each has sent WAL that was written
// after they were told. Names are settled once n of S have flushed as far as the leader's position was after that; until
// then commits acknowledged under earlier names still count. An agent that begins knows nothing of earlier names, and only
// narrows the promise until the names it found are settled. All of it is worked out anew from what is seen, at every step:
// nothing is planned that a crash could cut in two.
//
// The laws are tested against sets written out one by one, and in every sequence of six events, failures of the leader among
// them; testdata reads like the specification.
//
// It knows names, counts and positions. It refuses to know how a promise is stored, how a server is told, and when a member
// is eligible at all; packages ha and agent do.
//
// Sources: PostgreSQL documentation, "Synchronous Replication"; SyncRepGetSyncRecPtr and SyncRepReleaseWaiters in syncrep.c;
// for the keys, Patroni's documentation of synchronous_mode.
package quorum
