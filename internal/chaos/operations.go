package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// planned bounds the write outage of an operation that somebody asks the scheduler for.
const planned = time.Second

// Restart starts all instances of the app again.
func Restart() Fault {
	return operation("the app is restarted", func(ctx context.Context, p *Platform) (string, error) {
		return p.change(ctx, http.MethodPost, "/restart", "")
	})
}

// SetVariable changes the environment of the app, which is another version of it.
func SetVariable(name, value string) Fault {
	return operation("the environment of the app is changed", func(ctx context.Context, p *Platform) (string, error) {
		var definition struct{ Env map[string]any }
		if err := p.definition(&definition); err != nil {
			return "", err
		}
		definition.Env[name] = value
		return p.change(ctx, http.MethodPatch, "", map[string]any{"env": definition.Env})
	})
}

// SetImage changes the image of the app.
func SetImage(image string) Fault {
	return operation("the image of the app is changed", func(ctx context.Context, p *Platform) (string, error) {
		var definition struct{ Container map[string]any }
		if err := p.definition(&definition); err != nil {
			return "", err
		}
		docker, ok := definition.Container["docker"].(map[string]any)
		if !ok {
			return "", errors.New("the app has no image")
		}
		docker["image"] = image
		return p.change(ctx, http.MethodPatch, "", map[string]any{"container": definition.Container})
	})
}

// operation is a change of the app for which every member is started anew, the leader last and after a switchover.
func operation(name string, change func(ctx context.Context, p *Platform) (string, error)) Fault {
	return Fault{
		Name: name, Moves: true, Limit: planned,
		strike: func(ctx context.Context, p *Platform, _ Picture) (string, error) { return change(ctx, p) },
		promise: func(before, after Picture) error {
			for _, was := range before.Members {
				if is, _ := after.Member(was.Name); is.Agent == was.Agent || is.Postmaster == was.Postmaster {
					return fmt.Errorf("%s was not started anew", was.Name)
				}
			}
			return nil
		},
	}
}

// DrainHost has the leader's host drained: the lead moves to another one, and the member stops, for its data cannot move.
func DrainHost() Fault {
	return Fault{
		Name: "the leader's host is drained", Moves: true, Limit: planned,
		strike: func(ctx context.Context, p *Platform, before Picture) (string, error) {
			host := before.Led().Host
			p.dark[host] = true
			return p.ask1(ctx, http.MethodPost, "/pg/v1/hosts/"+host+"/drain", "")
		},
		promise: func(before, after Picture) error {
			if _, there := after.Member(before.Leader); there {
				return fmt.Errorf("%s is there still", before.Leader)
			}
			return nil
		},
	}
}

// EndDrain takes the hosts back into use that were drained; their members must come back as replicas.
func EndDrain() Fault {
	return Fault{
		Name: "the drain of the host ends", Limit: planned,
		strike: func(ctx context.Context, p *Platform, _ Picture) (string, error) {
			var told []string
			for host := range p.dark {
				did, err := p.ask1(ctx, http.MethodDelete, "/pg/v1/hosts/"+host+"/drain", "")
				if err != nil {
					return did, err
				}
				told = append(told, did)
			}
			clear(p.dark)
			return strings.Join(told, ", "), nil
		},
	}
}

// definition reads what was posted as the app at first.
func (p *Platform) definition(into any) error {
	text, err := os.ReadFile(filepath.Join(p.cfg.Source, appFile))
	if err != nil {
		return fmt.Errorf("read the app: %w", err)
	}
	return json.Unmarshal(text, into)
}

// change asks the scheduler for a deployment of the app.
func (p *Platform) change(ctx context.Context, method, path string, body any) (string, error) {
	text := ""
	if body != "" {
		encoded, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		text = string(encoded)
	}
	return p.ask1(ctx, method, AppPath+path, text)
}

// ask1 sends one request to the scheduler that has to succeed, and says what was sent.
func (p *Platform) ask1(ctx context.Context, method, path, body string) (string, error) {
	deed := strings.TrimSpace(method + " " + path + " " + body)
	code, text, err := p.Send(ctx, method, p.URLs().Marathon+path, body)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("it is answered with %d: %s", code, text)
	}
	return deed, err
}
