package config

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Method is a way to fill a data directory: our own, or a program that the operator brought.
type Method struct {
	// Name is the name of its section; BaseBackup and Initdb are ours.
	Name string
	// Command is the operator's program; nil for ours.
	Command Command
	// Options are handed to the program as --name=value.
	Options []Option
	// NoParams: the program gets no options that tell of the cluster.
	NoParams bool
	// NoLeader: a replica can be made this way without any running member.
	NoLeader bool
	// KeepData: what the data directory holds is the program's business and is not removed.
	KeepData bool
	// KeepRecovery: what the program wrote about recovery is left as it is.
	KeepRecovery bool
	// Recovery are the recovery settings the new cluster is started with; see also guc.
	Recovery map[string]any
}

// The methods that need no section.
const (
	BaseBackup = "basebackup"
	Initdb     = "initdb"
)

// methodFile is the section of a method.
type methodFile struct {
	Command      line           `yaml:"command"`
	NoParams     bool           `yaml:"no_params"`
	NoLeader     bool           `yaml:"no_leader"`
	KeepData     bool           `yaml:"keep_data"`
	KeepRecovery bool           `yaml:"keep_existing_recovery_conf"`
	Recovery     map[string]any `yaml:"recovery_conf"`
}

// method reads the section of a method. Its program's options are everything else in the order of the section, without
// the names that are kept from it.
func method(name string, section yaml.Node, kept ...string) (Method, error) {
	var f methodFile
	if section.Kind != 0 && !isNull(&section) {
		if err := section.Decode(&f); err != nil {
			return Method{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	m := Method{
		Name: name, Command: Command(f.Command), NoParams: f.NoParams, NoLeader: f.NoLeader, KeepData: f.KeepData,
		KeepRecovery: f.KeepRecovery, Recovery: f.Recovery,
	}
	if f.NoParams {
		kept = append(kept, "no_params", "no_leader", "keep_data")
	}
	for i := 0; i+1 < len(section.Content); i += 2 {
		if key := section.Content[i].Value; key != "command" && !slices.Contains(kept, key) {
			m.Options = append(m.Options, Option{Name: key, Value: scalarText(target(section.Content[i+1]))})
		}
	}
	return m, nil
}

// cloneMethods are the ways to make a replica, in the order in which they are tried. A program is called by its
// method's name where no command is given. Unless it wants nothing from us, it also gets its section's own flags, as
// Patroni's do.
func (f postgresFile) cloneMethods(names []string) ([]Method, error) {
	var all []Method
	for _, name := range names {
		if name == BaseBackup {
			all = append(all, Method{Name: BaseBackup, Options: f.BaseBackup})
			continue
		}
		m, err := method(name, f.Others[name])
		if err != nil {
			return nil, err
		}
		if m.Command == nil {
			m.Command = Command{name}
		}
		all = append(all, m)
	}
	return all, nil
}

// methodNames are the names in the order in which they are tried.
func (f postgresFile) methodNames() []string {
	switch {
	case len(f.CloneMethods) > 0:
		return f.CloneMethods
	case len(f.CloneMethod) > 0:
		return f.CloneMethod
	}
	return []string{BaseBackup}
}

// firstMethod is how the cluster is made. The bool is false when the configured one has no program.
func (f bootstrapFile) firstMethod() (Method, bool, error) {
	if f.Method == "" || f.Method == Initdb {
		return Method{Name: Initdb, Options: f.Initdb}, true, nil
	}
	m, err := method(f.Method, f.Others[f.Method], "no_params", "no_leader", "keep_existing_recovery_conf", "recovery_conf")
	return m, m.Command != nil, err
}

// waysIn are the names of the methods that have sections in a document.
type waysIn struct{ clone, bootstrap, dynamicClone []string }

// findWays looks for them before the document is checked; what is no list of names is found then.
func findWays(tree *yaml.Node) waysIn {
	postgres, bootstrap := child(tree, "postgresql"), child(tree, "bootstrap")
	dynamic := child(bootstrap, "dcs")
	shared := child(dynamic, "postgresql")
	ways := waysIn{clone: methodsOf(postgres), dynamicClone: methodsOf(shared)}
	ways.clone = append(ways.clone, texted(child(child(dynamic, "standby_cluster"), "create_replica_methods"))...)
	ways.clone = append(ways.clone, ways.dynamicClone...)
	ways.dynamicClone = slices.Clone(ways.clone)
	if m := child(bootstrap, "method"); m != nil {
		ways.bootstrap = []string{m.Value}
	}
	// A section with a command is a method, whether it is used now or not.
	ways.bootstrap = append(ways.bootstrap, withCommand(bootstrap)...)
	ways.clone = append(ways.clone, withCommand(postgres)...)
	ways.dynamicClone = append(ways.dynamicClone, withCommand(shared)...)
	return ways
}

func methodsOf(postgres *yaml.Node) []string {
	return append(texted(child(postgres, "create_replica_methods")), texted(child(postgres, "create_replica_method"))...)
}

func withCommand(section *yaml.Node) []string {
	var names []string
	for name, value := range children(section) {
		if child(value, "command") != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// children are the options of a section by name; none where it is no section.
func children(section *yaml.Node) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if section == nil || section.Kind != yaml.MappingNode {
		return all
	}
	for i := 0; i+1 < len(section.Content); i += 2 {
		value := target(section.Content[i+1])
		if section.Content[i].Tag == "!!merge" {
			inherited := children(value)
			maps.Copy(inherited, all)
			all = inherited
			continue
		}
		all[section.Content[i].Value] = value
	}
	return all
}

func child(section *yaml.Node, name string) *yaml.Node { return children(section)[name] }

// texted are the texts of a list.
func texted(list *yaml.Node) []string {
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var all []string
	for _, item := range list.Content {
		all = append(all, target(item).Value)
	}
	return all
}
