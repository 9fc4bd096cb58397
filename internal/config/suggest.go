package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/pgbaton/pgbaton/internal/cluster"
	"github.com/pgbaton/pgbaton/internal/guc"
)

// CheckDynamic looks at a dynamic configuration before somebody stores it. problems are values that no member can use: its
// default would come into force in their place, so an editor asks again before it stores them. warnings are about what is
// used otherwise than it stands there, or not at all. Neither makes a document unfit for the cluster: members keep going
// with what they can read, and so does Patroni, which stores every JSON object. Every sentence begins with the path of
// its option. A null, which removes an option, is always right.
func CheckDynamic(dynamic map[string]any) (problems, warnings []string) {
	var node yaml.Node
	if err := node.Encode(whole(dynamic)); err != nil {
		return []string{"this is no section of options: " + err.Error()}, nil
	}
	shared := child(&node, "postgresql")
	ways := slices.Concat(methodsOf(shared), withCommand(shared), texted(child(child(&node, "standby_cluster"), "create_replica_methods")))
	problems, warnings = compare(dynamic, dynamicSchema(ways))
	warnings = slices.Concat(warnings, timing(dynamic), misplaced(dynamic), parameters(dynamic))
	return problems, warnings
}

// timing says what the limit of the three times makes of them: a leader has to be able to renew its lease after one slow
// answer in each of two tries, which takes loop_wait + 2 * retry_timeout.
func timing(dynamic map[string]any) []string {
	used := cluster.Config{Data: dynamic}.Settings()
	wanted := func(name string) time.Duration {
		n, ok := wholeNumber(fmt.Sprint(whole(dynamic[name])))
		if !ok {
			n = 10 // the default of both
		}
		return time.Duration(min(n, math.MaxInt32)) * time.Second
	}
	if wanted("loop_wait") <= used.LoopWait && wanted("retry_timeout") <= used.RetryTimeout {
		return nil
	}
	return []string{fmt.Sprintf("ttl: loop_wait + 2 * retry_timeout may be %.0f, the ttl, at most; a loop_wait of %.0f and a retry_timeout of %.0f are used",
		used.TTL.Seconds(), used.LoopWait.Seconds(), used.RetryTimeout.Seconds())}
}

// misplaced says what in the section postgresql is each member's own affair, or nobody's.
func misplaced(dynamic map[string]any) []string {
	shared, _ := dynamic["postgresql"].(map[string]any)
	own, known := postgresSchema(nil), sharedSchema(nil)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		if _, here := known[name]; here || shared[name] == nil {
			continue
		}
		if _, local := own[name]; local {
			all = append(all, "postgresql."+name+" is taken from each member's own file only")
		}
	}
	return all
}

// newest stands for a server that knows every parameter.
const newest = 99

// parameters says which parameters of PostgreSQL are brought inside their bounds, or belong to the agents.
func parameters(dynamic map[string]any) []string {
	shared, _ := dynamic["postgresql"].(map[string]any)
	given, _ := shared["parameters"].(map[string]any)
	_, said := guc.Prepare(given, guc.Endpoint{}, newest)
	for _, name := range []string{"cluster_name", "listen_addresses", "port"} {
		if given[name] != nil {
			said = append(said, "parameter "+name+" is left out: each agent sets its own")
		}
	}
	for i, s := range said {
		said[i] = "postgresql.parameters: " + s
	}
	return said
}
