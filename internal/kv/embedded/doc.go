// Package embedded is the *adapter* that runs an etcd member inside this process, for places where no
// store exists yet and for tests.
//
// It knows how a member is configured, how it starts on the data directory it finds, and which of its
// log lines an operator can act on. It refuses to know who the clients are: they connect by the etcd3
// package, as to any etcd.
//
// # The data directory
//
//	<dir>/pgbaton-member.json   which member of which cluster this is, written before etcd starts
//	<dir>/member/               etcd's own
//
// A directory of another member or cluster is refused. A directory without data is, by what the other
// members say, one of three things:
//
//   - nobody answers, or they know this member but it has never served: it is new, and starts by the
//     configured cluster;
//   - they know it and it has served: its data was lost. A member must not come back under its old
//     identity with an empty log, for it may have voted and acknowledged; so it is removed from the
//     cluster and added as a new member, which the others allow only while they have a quorum;
//   - they do not know it, or wait for it: it was removed and not yet added, or added and not yet
//     started, when an earlier start was cut short. What is missing is done.
//
// When the data of a majority is lost, the rest has no quorum to take anybody back, and Start fails with
// the sentence that says so. What cannot be seen from here is a loss while all the others are down: whoever
// knows that the cluster has run before says so by Member.Existing.
package embedded
