// Package cluster is the *vocabulary* of one HA cluster: the picture that its members share through the
// DCS, and the exact JSON of every value in it.
//
// It knows names, roles, states, positions and how each document reads and renders, byte for byte as a
// Patroni member writes it, so that both can share a cluster. It refuses to know where the documents
// are stored, what a lease is, and what anybody should do about the picture.
//
// Values here are plain: copying a Cluster and changing the copy's fields never changes the original,
// except through maps and slices, which nobody writes to after they were read.
package cluster
