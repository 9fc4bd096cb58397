// Package archtest is part of the *laboratory*: it holds the walls between the rooms of this program.
//
// It knows on which floor each package lives and what a floor may import. When a wall breaks, the test says
// the sentence a newcomer needs. ARCHITECTURE.md draws the same map for people.
package archtest
