// Package secret is the *vocabulary* of values that must never be read by accident: passwords and tokens.
//
// It knows how to hide a text wherever Go prints, logs or encodes values (rule S10). It refuses to know
// what a secret is good for and where it is kept; whoever needs the text says so with Reveal, which is
// also the word to search for when looking for leaks.
package secret
