package api

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// rootLogger is the only logger there is, under the name it has in Marathon.
const rootLogger = "ROOT"

// levels changes how much is logged, perhaps for a while.
type levels struct {
	mu     sync.Mutex
	revert *time.Timer // nil when the level is one for good
	usual  slog.Level  // that it falls back to then
}

func (s *Server) loggingEndpoint() (endpoint, error) {
	if s.config.Level == nil {
		return nil, missing("log whose level could be changed")
	}
	return endpoint{http.MethodGet: s.showLevels, http.MethodPost: s.setLevel}, nil
}

func (s *Server) showLevels(*http.Request) (answer, error) {
	return ok(map[string]string{rootLogger: s.config.Level.Level().String()})
}

// setLevel changes the level, for durationSeconds if that is given.
func (s *Server) setLevel(r *http.Request) (answer, error) {
	body, err := parseBody(r, func(data []byte) (b struct {
		Logger   string `json:"logger"`
		Level    string `json:"level"`
		Duration int    `json:"durationSeconds"`
	}, err error,
	) {
		err = decode(data, &b)
		return b, err
	})
	if err != nil {
		return answer{}, err
	}
	level, known := levelOf(body.Level)
	switch {
	case !strings.EqualFold(body.Logger, rootLogger):
		return answer{}, invalid("/logger", "is not one of ("+rootLogger+")")
	case !known:
		return answer{}, invalid("/level", "is not one of (TRACE,DEBUG,INFO,WARN,ERROR,OFF)")
	case body.Duration < 0:
		return answer{}, invalid("/durationSeconds", "must not be negative")
	}
	s.levels.set(s.config.Level, level, time.Duration(body.Duration)*time.Second)
	return s.showLevels(r)
}

// set changes the level until d has passed, or for good. A change for a while that replaces another one falls back to what
// was before both.
func (l *levels) set(to *slog.LevelVar, level slog.Level, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.revert == nil {
		l.usual = to.Level()
	} else {
		l.revert.Stop()
		l.revert = nil
	}
	to.Set(level)
	if d > 0 {
		l.revert = time.AfterFunc(d, func() { l.fallBack(to) })
	}
}

func (l *levels) fallBack(to *slog.LevelVar) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to.Set(l.usual)
	l.revert = nil
}

func levelOf(name string) (slog.Level, bool) {
	const off = slog.LevelError + 4
	level, known := map[string]slog.Level{
		"TRACE": slog.LevelDebug, "DEBUG": slog.LevelDebug, "INFO": slog.LevelInfo, "WARN": slog.LevelWarn,
		"ERROR": slog.LevelError, "OFF": off,
	}[strings.ToUpper(name)]
	return level, known
}
