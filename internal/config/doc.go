// Package config is the *adapter* for the agent's configuration: a YAML file, the environment over it,
// defaults under it, made into one validated value.
//
// It knows Patroni's option and variable names, the placeholders that are replaced before YAML is parsed,
// and what a platform such as Marathon says about addresses in a task's environment. It refuses to know
// what the options do, and it never writes: the environment comes in as an argument.
//
// Order of precedence, later wins: defaults, the dynamic configuration (Config.With), the file, PATRONI_* variables.
//
// A document is compared with a schema of all options that are acted on before it is decoded, so that every mistake
// is found at once and told as a sentence: line, option, what is expected, what stands there. What is not in the
// schema is worth a warning. Diff compares the configuration in force with one read again.
package config
