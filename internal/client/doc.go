// Package client is the *adapter* for the REST API of other agents, ours and Patroni's: it asks a member
// for its status, and hands it an operator's request.
//
// It knows the wire format and tells an answer ("no", with its code and text) from silence (an error). It
// refuses to know what an answer means for the cluster, and never repeats a request: whoever asked
// decides whether asking twice is safe.
package client
