package config

import (
	"fmt"

	"github.com/pgbaton/pgbaton/internal/cluster"
)

// The tags that mean something to members (Patroni documentation, "Tags"). All others are for other programs.
const (
	tagNoFailover       = "nofailover"
	tagFailoverPriority = "failover_priority"
	tagNoSync           = "nosync"
	tagSyncPriority     = "sync_priority"
	tagCloneFrom        = "clonefrom"
	tagNoLoadBalance    = "noloadbalance"
	tagNoStream         = "nostream"
	tagReplicateFrom    = "replicatefrom"
)

// publishedTags are the tags as others shall see them, and what is contradictory about them. A flag that is off is
// left out, except where it overrules a priority.
func publishedTags(given map[string]any) (cluster.Tags, []string) {
	if given == nil {
		return nil, nil
	}
	overrules := map[string]string{tagNoFailover: tagFailoverPriority, tagNoSync: tagSyncPriority}
	tags := cluster.Tags{}
	var warnings []string
	for name, value := range given {
		switch name {
		case tagCloneFrom, tagNoFailover, tagNoLoadBalance, tagNoStream, tagNoSync:
			_, prioritised := given[overrules[name]]
			if value == true || value != nil && prioritised {
				tags[name] = value
			}
		default:
			if value != nil {
				tags[name] = value
			}
		}
	}
	for _, name := range []string{tagNoFailover, tagNoSync} {
		warnings = append(warnings, contradiction(tags, name, overrules[name])...)
	}
	return tags, warnings
}

// contradiction says which of two tags counts where they say the opposite.
func contradiction(tags cluster.Tags, name, priority string) []string {
	off, given := tags[name].(bool)
	n, prioritised := tags[priority].(int)
	if !given || !prioritised || off == (n <= 0) {
		return nil
	}
	return []string{fmt.Sprintf("tags.%s is %t and tags.%s is %d, which contradict each other: %s counts; remove one of them",
		name, off, priority, n, name)}
}
