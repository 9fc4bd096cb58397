// Package tlsfiles is the *adapter* for certificate files: it makes TLS configurations of the files that options name,
// keys with a password included.
//
// It knows the formats in which keys and certificates lie on disk, and how much of a peer's certificate is checked. It
// refuses to know who speaks TLS with whom, and when a file has to be read again: whoever reloads calls it anew.
package tlsfiles
