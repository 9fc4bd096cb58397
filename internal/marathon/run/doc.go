// Package run is the *shell* of the scheduler: one goroutine that owns the state and carries it between the store, the
// driver, the agents and the cores deploy and place.
//
// It knows the order of things. It refuses to decide: what to do is deploy.Next's word, where to do it place.Choose's,
// and the API's requests are functions that enter the loop like any other event.
//
//	driver │ API call │ probe │ answer of an agent │ time          all of them just wake the loop
//	       └─────┬────┘
//	 1 store     what the driver reported; only then it is acknowledged
//	 2 decide    deploy.Next(state, now)
//	 3 act       store the intent, then call the driver
//	 4 again?    until a plan has nothing to do; then sleep until something happens
//	 5 publish   a picture for readers, events for watchers
//
// # What holds it back
//
// Before the first decision the state is loaded, the driver knows who we are, and it has been asked about every task the
// store knows; an app of which a task is unconfirmed waits. A store that does not answer stops everything but the
// running tasks: nothing is launched or killed, reports of the driver stay unacknowledged, and the loop tries again. A
// write that may or may not have happened is followed by a load, never by a repetition (rule S8).
//
// Cancelling Run leaves all tasks running; the next scheduler over the same store and driver finds them. StopAll is for
// who wants them stopped.
package run
