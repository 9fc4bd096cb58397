// Package ctl is the *shell* of the operator commands: list, history, explain, switchover, failover, pause,
// resume, restart, reinit, reload and flush, with the options, prompts, columns and exit codes of patronictl.
//
// It knows how a cluster is shown and how an operator is asked. It refuses to decide: a request goes to a
// member's REST API, and the answer is printed as it came; explain prints what the agents say of their own
// decisions. Rendering is pure (render.go, table.go, page.go), so what people see is tested as text.
package ctl
