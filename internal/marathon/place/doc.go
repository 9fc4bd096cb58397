// Package place is the *core* that decides where an instance may run: offer × need × what is placed already → it fits
// with these ports, or the sentence that says why not.
//
// It knows resources, ports, volumes and constraints, and that two members of one PostgreSQL cluster do not belong on
// one host. It refuses to know how offers come about and what happens after a decision: no clock, no I/O.
//
// # Rules, in the order in which they are tried
//
//   - Resources of a role that the app does not accept are not there for it.
//   - Constraints as in Marathon, counting every placed instance of the app, also suspended and unreachable ones, for
//     their volumes bring them back to where they were. An app without a constraint on @region stays in the local region.
//   - A PostgreSQL app without a constraint of its own that limits the instances on a host gets at most one on each, and
//     more only where the platform is known to have fewer hosts than members. Without any constraint its members
//     prefer the zone that has fewest of them.
//   - An instance that has a volume goes to the host of its volume and nowhere else, and only if the volume is there:
//     a second, empty volume would look like lost data. Rules about neighbours do not keep a database from its data.
//   - Nothing goes to a host that drains.
//   - Resources and ports that the instances of others hold are not given away while their tasks are down.
//   - A host port that the definition leaves open becomes the one the instance had before, else the container's own
//     number, else the lowest of the host's range. So `{HOST_IP}:5432` is true wherever it can be.
//
// The scenarios are in testdata, the laws (never over-commit, never a port twice) in laws_test.go.
package place
