package etcd3

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// trustFor is how long an answer proves that an endpoint works. A loop that reads before it
	// writes never pays for the proof.
	trustFor = 250 * time.Millisecond
	// patience is the silence after which the next endpoint is asked too: far above an answer in one
	// data centre, far below any deadline.
	patience = 200 * time.Millisecond
	// grace is how long a silent endpoint may still answer before its watches are given up.
	grace = time.Second
	// firstPause and lastPause bound the doubling wait before an endpoint that said no is asked again.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// answer is what one endpoint said in a race.
type answer[T any] struct {
	from  *endpoint
	value T
	err   error
}

// race asks the endpoint in use and, after patience or a transient error, each next one too, until one
// answers for the cluster, a definite error comes or the context ends. Whoever answered is in use from
// now on.
func race[T any](ctx context.Context, s *Store, ask func(context.Context, *endpoint) (T, error)) (T, *endpoint, error) {
	ctx, cancel := s.bind(ctx)
	defer cancel()
	waiting := s.order()
	first := waiting[0]
	answers := make(chan answer[T])
	silence := time.NewTimer(patience)
	defer silence.Stop()
	next := func() {
		if len(waiting) > 0 {
			e := waiting[0]
			waiting = waiting[1:]
			s.goes(func() { insist(ctx, s, e, ask, answers) })
			silence.Reset(patience)
		}
	}
	next()
	var refused answer[T]
	for {
		select {
		case got := <-answers:
			if got.err == nil || !transient(got.err) {
				s.use(got.from, first) //nolint:contextcheck // what it starts outlives the call
				return got.value, got.from, got.err
			}
			refused = got
		case <-silence.C:
		case <-ctx.Done():
			return refused.value, nil, cmp.Or(refused.err, context.Cause(ctx))
		}
		next()
	}
}

// insist asks one endpoint until it gives more than a transient error, and passes every answer on.
func insist[T any](ctx context.Context, s *Store, e *endpoint, ask func(context.Context, *endpoint) (T, error), to chan<- answer[T]) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		value, err := attempt(ctx, s, e, ask)
		if ctx.Err() != nil {
			return
		}
		select {
		case to <- answer[T]{e, value, err}:
		case <-ctx.Done():
			return
		}
		if err == nil || !transient(err) {
			return
		}
		wait(ctx, pause/2+rand.N(pause))
	}
}

// bind returns a context that ends with the store too.
func (s *Store) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.life, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// wait returns after the pause or at the end of the context.
func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// write sends a request once, to an endpoint that is known to work.
func write[T any](ctx context.Context, s *Store, send func(context.Context, *endpoint) (T, error)) (T, error) {
	ctx, cancel := s.bind(ctx)
	defer cancel()
	e, err := s.live(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return attempt(ctx, s, e, send)
}

// live returns an endpoint that answered a moment ago.
func (s *Store) live(ctx context.Context) (*endpoint, error) {
	if e := s.order()[0]; e.trusted(trustFor) {
		return e, nil
	}
	_, e, err := race(ctx, s, func(ctx context.Context, e *endpoint) (struct{}, error) { return e.usable(ctx) })
	return e, err
}

// attempt makes one request. It is repeated only when it was refused for its token, for then the store
// did not look at it.
func attempt[T any](ctx context.Context, s *Store, e *endpoint, request func(context.Context, *endpoint) (T, error)) (T, error) {
	value, err := request(ctx, e)
	if tokenRefused(err) && s.config.Username != "" {
		if err = s.authenticate(ctx, e); err == nil {
			value, err = request(ctx, e)
		}
	}
	if err == nil {
		e.answered(time.Now())
	} else if transient(err) {
		e.distrust()
	}
	return value, err
}

// order returns the endpoints, the one in use first.
func (s *Store) order() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.endpoints)
}

// use puts the endpoint in front. If it overtook another one, that one's watches are given up unless it
// answers after all.
func (s *Store) use(winner, overtaken *endpoint) {
	if winner == overtaken {
		return
	}
	s.mu.Lock()
	rest := slices.DeleteFunc(slices.Clone(s.endpoints), func(e *endpoint) bool { return e == winner })
	s.endpoints = append([]*endpoint{winner}, rest...)
	s.mu.Unlock()
	s.goes(func() {
		ctx, cancel := context.WithTimeout(s.life, grace)
		defer cancel()
		if _, err := overtaken.usable(ctx); err != nil {
			overtaken.breakStreams()
		}
	})
}

// goes starts a goroutine that Close waits for, unless the store is closed already.
func (s *Store) goes(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return false
	}
	s.calls.Go(f)
	return true
}

// transient reports whether another endpoint, or the same one later, may answer better.
func transient(err error) bool {
	definite := []codes.Code{
		codes.OK, codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.OutOfRange, codes.AlreadyExists,
	}
	return !slices.Contains(definite, code(err)) || errors.Is(err, rpctypes.ErrAuthOldRevision)
}

// code returns the gRPC code of an error of the client library, which wraps some and not others.
func code(err error) codes.Code {
	if coded, ok := err.(interface{ Code() codes.Code }); ok {
		return coded.Code()
	}
	return status.Code(err)
}
