package ctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// edit opens a file in the editor and waits until it is closed.
func (t *tool) edit(ctx context.Context, file string) error {
	command := strings.Fields(t.env.Vars["EDITOR"])
	if len(command) == 0 {
		command = []string{firstOf("editor", "vi")}
	}
	if command[0] == "" {
		return errors.New("EDITOR environment variable is not set. editor or vi are not available")
	}
	// A key that interrupts belongs to the editor, as long as that is there.
	c := exec.CommandContext(context.WithoutCancel(ctx), command[0], append(command[1:], file)...) //nolint:gosec // it is the operator's
	c.Stdin, c.Stdout, c.Stderr = t.env.In, t.env.Out, t.env.Err
	err := c.Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("Editor exited with return code %d", ended.ExitCode()) //nolint:staticcheck // the text is part of the interface
	}
	if err != nil {
		return fmt.Errorf("open the editor: %w; set EDITOR to one that is there", err)
	}
	return nil
}

// firstOf is the first of some programs that is there; empty when none is.
func firstOf(names ...string) string {
	for _, name := range names {
		if _, err := exec.LookPath(name); name != "" && err == nil {
			return name
		}
	}
	return ""
}

// difference is a unified diff of two texts, whose files have no names.
func difference(before, after string) (string, error) {
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: lines(before), B: lines(after), Context: 3})
	if err != nil {
		return "", fmt.Errorf("compare the configurations: %w", err)
	}
	return "--- \n+++ \n" + text, nil
}

func lines(text string) []string {
	var all []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		all = append(all, line+"\n")
	}
	return all
}

// showDifference prints what changes; on a terminal in colours, and page by page where it is long.
func (t *tool) showDifference(ctx context.Context, before, after string) error {
	text, err := difference(before, after)
	if err != nil {
		return err
	}
	if !t.env.Terminal {
		t.printf("%s", text)
		return nil
	}
	if t.env.Colour {
		text = coloured(text)
	}
	pager := strings.Fields(cmp.Or(t.env.Vars["PAGER"], firstOf("less")))
	if len(pager) == 0 {
		t.printf("%s", text)
		return nil
	}
	c := exec.CommandContext(context.WithoutCancel(ctx), pager[0], pager[1:]...) //nolint:gosec // it is the operator's
	c.Env = append(c.Environ(), "LESS="+cmp.Or(t.env.Vars["LESS"], "FRX"))
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(text), t.env.Out, t.env.Err
	if err := c.Run(); err != nil {
		t.printf("%s", text) // without it, then
	}
	return nil
}

// coloured paints what goes red and what comes green.
func coloured(diff string) string {
	p := page{colour: true}
	var b strings.Builder
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n")
		switch line[:min(1, len(line))] {
		case "-":
			line = p.paint(red, line)
		case "+":
			line = p.paint(green, line)
		case "@":
			line = p.paint(faint, line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// judge warns of what members would not act on.
func (t *tool) judge(data map[string]any) {
	if t.env.Check == nil {
		return
	}
	problems, warnings := t.env.Check(data)
	for _, text := range append(problems, warnings...) {
		fmt.Fprintf(t.env.Err, "Warning: %s\n", text)
	}
}
