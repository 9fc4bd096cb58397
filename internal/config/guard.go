package config

import "fmt"

// guardWanted says whether the agent has a guard: yes, unless the file or one of the variables PATRONI_GUARD and
// PGBATON_GUARD says off. A variable wins over the file. What is neither on nor off is refused: a typing error must not
// decide whether two servers can accept writes.
func guardWanted(file *bool, env map[string]string) (bool, error) {
	wanted := file == nil || *file
	for _, name := range []string{"PATRONI_GUARD", "PGBATON_GUARD"} {
		switch env[name] {
		case "":
		case "on":
			wanted = true
		case "off":
			wanted = false
		default:
			return false, fmt.Errorf("%s: %q is neither on nor off", name, env[name])
		}
	}
	return wanted, nil
}
