// Package ctl is the *shell* of the operator commands: list, switchover and failover, with the options,
// prompts, columns and exit codes of patronictl.
//
// It knows how a cluster is shown and how an operator is asked. It refuses to decide: a request goes to the
// leader's REST API, and the answer is printed as it came. Rendering is pure (render.go, table.go), so what
// people see is tested as text.
package ctl
