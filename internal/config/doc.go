// Package config is the *adapter* for the agent's configuration: YAML files, the environment over them,
// defaults under them, made into one validated value.
//
// It knows Patroni's option and variable names, the placeholders that are replaced before YAML is parsed,
// and what a platform such as Marathon says about addresses in a task's environment. It refuses to know
// what the options do, and it never writes: the environment comes in as an argument.
//
// Order of precedence, later wins: defaults, the dynamic configuration (Config.With), the files, PATRONI_* variables.
//
// Files and variables are laid over each other as trees of YAML (tree), whose nodes know where they stood. The result
// is compared with a schema of all options that are acted on before it is decoded, so that every mistake is found at
// once and told as a sentence: file or variable, line, option, what is expected, what stands there. What is not in the
// schema is worth a warning. Diff compares the configuration in force with one read again.
//
// Secrets are secret.Text, and no sentence quotes what stands where a secret is expected. Effective prints a
// configuration without them, Overlaid with them.
package config
