package sim

// event is something that happens at an instant: a function, or a task that goes on.
type event struct {
	at int64
	// order tells events of one instant apart: first planned, first done.
	order uint64
	do    func()
	task  *task
	token uint32
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// queue is a heap of events with four children to a node, which is kinder to a cache than two.
type queue struct {
	events []event
	orders uint64
}

func (q *queue) push(e event) {
	q.orders++
	e.order = q.orders
	q.events = append(q.events, e)
	i := len(q.events) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.events[parent]) {
			break
		}
		q.events[i] = q.events[parent]
		i = parent
	}
	q.events[i] = e
}

// pop takes the first event out. There must be one.
func (q *queue) pop() event {
	first := q.events[0]
	last := len(q.events) - 1
	e := q.events[last]
	q.events[last] = event{}
	q.events = q.events[:last]
	if last > 0 {
		q.sink(e)
	}
	return first
}

// sink puts an event where the first one was, and lower.
func (q *queue) sink(e event) {
	i, n := 0, len(q.events)
	for {
		least := 4*i + 1
		if least >= n {
			break
		}
		for child := least + 1; child < min(4*i+5, n); child++ {
			if q.events[child].before(&q.events[least]) {
				least = child
			}
		}
		if !q.events[least].before(&e) {
			break
		}
		q.events[i] = q.events[least]
		i = least
	}
	q.events[i] = e
}
