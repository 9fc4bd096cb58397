// Package etcd3 is the *adapter* that makes an etcd cluster, by its v3 API, a kv store.
//
// It knows endpoints, connections, tokens and etcd's error texts. It refuses to know what is stored,
// and it renews no lease by itself: of the client library it uses single requests only, never the
// KeepAlive stream nor the concurrency package (rule S2).
//
// # At most once
//
// A write is sent at most once per call (rule S8). The library's own interceptor may send a request
// again: any request after Canceled or DeadlineExceeded while the caller's context is still alive, and
// reads after Unavailable (retry_interceptor.go of client/v3 v3.7.3: "its the callCtx deadline or
// cancellation, in which case try again"). So MaxUnaryRetries is 1, which is one attempt. KeepAliveOnce
// of the library loops over Unavailable without a pause; Renew therefore opens the same one-shot stream
// itself. gRPC below repeats a request by itself only when the server said it never began to process it.
// Renewals are the exception, because a second one does no harm: they are raced like reads. Another is ours: a request refused for its token was not applied, so it is sent again with
// a new token.
//
// # One dead endpoint
//
// The library's balancer takes turns over all endpoints, and a member that is frozen or cut off keeps
// its turn until the keepalive notices, ten seconds or more. So every endpoint here has a connection of
// its own, one of them is in use, and a write trusts it only if it answered a moment ago.
// Otherwise the endpoints are raced: the one in use first, each next one after a moment of silence or an
// error. Reads are raced as they are; before a write, a read that needs a majority is, and the write goes
// once to the winner. Endpoints begin in random order, so that clients spread over the members.
package etcd3
