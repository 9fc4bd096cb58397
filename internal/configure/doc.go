// Package configure is the *shell* around a configuration file: it looks whether one fits the machine it is
// for, and makes one, of a server that runs already or as an example.
//
// It knows what a member needs of its machine (ports, programs, files, an etcd that answers) and how PostgreSQL tells of
// its settings. It refuses to know what the options of a file are allowed to be, which is config's, and it changes nothing
// but the file that it is asked to write. What it makes can be read by Patroni, too.
package configure
