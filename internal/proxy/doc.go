// Package proxy is the *shell* that keeps HAProxy going where the cluster's picture says.
//
// It knows when to look: when the DCS reports a change, when HAProxy reports one (it was started again,
// or a check found a server in another state), and every ten seconds in case a report got lost. Each time
// it reads the picture, asks package route what is wanted and which steps lead there, and has them carried
// out one after the other. It refuses to know how the picture is stored and how HAProxy is told; both are
// behind the small interfaces below.
//
// When the picture cannot be read nothing is changed (rule S7): HAProxy goes on following its checks. Only
// a HAProxy that was started again meanwhile is told its servers, for the checks to judge.
//
// Steps that fail break the run off, because their order is what makes them safe. The next run begins
// from what HAProxy then says of itself.
package proxy
