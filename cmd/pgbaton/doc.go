// Command pgbaton runs PostgreSQL highly available: the agent beside each server, the scheduler that places
// them, the routing in front, and the store they agree through, as one program.
//
// This package is the wiring: it reads what was typed, opens the adapters, hands them to the shells, and ends
// the process. Nothing is decided here.
package main
