// Package zookeeper is an *adapter*: it asks a ZooKeeper which Mesos master leads.
//
// Masters that share a ZooKeeper each keep a sequential ephemeral node json.info_NNNNNNNNNN with their MasterInfo; the one
// with the lowest number leads (mesos: docs/high-availability, src/master/contender). Nodes without "json." are those of masters
// older than 0.24, log_replicas is the registry's. The package reads, and writes nothing. It knows nothing of Mesos' own API.
package zookeeper
