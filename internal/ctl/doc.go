// Package ctl is the *shell* of the operator commands: those of patronictl, with its options, prompts, columns and exit
// codes, and explain.
//
// It knows how a cluster is shown and how an operator is asked. It refuses to decide: a request goes to a
// member's REST API, and the answer is printed as it came; explain prints what the agents say of their own
// decisions. Only what has to work without any agent goes to the DCS itself: the dynamic configuration, the removal of a
// cluster, and requests that no member could be handed. Rendering is pure (rows.go, render.go, topology.go, document.go, table.go,
// page.go), so what people see is tested as text.
package ctl
