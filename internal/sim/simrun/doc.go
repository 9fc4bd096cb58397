// Package main is part of the *laboratory*: it runs the simulator of package sim from a terminal, for `make sim`.
//
//	simrun                 hunts for a minute, beginning at a seed nobody has chosen, and says how fast it was
//	simrun -seed 7         replays one seed: a line for each thing that happens, and a plot
//	simrun -file F         replays the first scenario of a file
//	simrun -mutant NAME    does either with a deliberate mistake switched on
//
// A rule that was broken is shown with its smallest schedule, which -keep writes to a file. The exit code is 1 then.
package main
