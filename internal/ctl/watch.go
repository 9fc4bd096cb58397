package ctl

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watchOptions say how often something is shown anew; zero for once.
type watchOptions struct {
	seconds float64
	often   bool
}

func watchFlags(c *cobra.Command, o *watchOptions) {
	c.Flags().Float64VarP(&o.seconds, "watch", "w", 0, "show it again every so many seconds")
	c.Flags().BoolVarP(&o.often, "watch-2", "W", false, "show it again every 2 seconds")
	hide(c, "watch-2")
	c.Flags().Lookup("watch").Usage += "; -W: every 2"
}

// every is how often; zero for once.
func (o watchOptions) every() time.Duration {
	const longest = 24 * 60 * 60 // a day: more is not a watch, and far more is not a time
	if o.seconds <= 0 && o.often {
		return 2 * time.Second
	}
	return time.Duration(min(max(o.seconds, 0), longest) * float64(time.Second))
}

// The words of a terminal: its second screen, and drawing over what is there without clearing it first, which flickers.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// watching shows something again and again until it is interrupted. On a terminal each picture takes the place of the one
// before, on a screen of its own; the last one stays behind. Only the first one has to succeed: what comes between later is
// told below the last picture.
func (t *tool) watching(ctx context.Context, o watchOptions, draw func() (string, error)) error {
	text, err := draw()
	if err != nil || o.every() == 0 {
		t.printf("%s", text)
		return err
	}
	if t.env.Terminal {
		t.printf("%s", enterScreen)
		defer func() { t.printf("%s%s", leaveScreen, text) }()
	}
	t.redraw(text, "")
	tick := time.NewTicker(o.every())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		next, err := draw()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			t.redraw(text, t.stamp()+" "+err.Error()+"\n")
		default:
			text = next
			t.redraw(text, "")
		}
	}
}

// redraw puts a picture in the place of the last one, with what there is to say below it.
func (t *tool) redraw(text, trouble string) {
	if !t.env.Terminal {
		t.printf("%s%s", text, trouble)
		return
	}
	t.printf("%s", home+strings.ReplaceAll(text+trouble, "\n", clearLine+"\n")+clearBelow)
}
