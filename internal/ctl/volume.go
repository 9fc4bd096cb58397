package ctl

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// volumeCommand is about volumes that no app claims.
func (t *tool) volumeCommand(at *string) *cobra.Command {
	c := &cobra.Command{
		Use:   "volume",
		Short: "Look at volumes that the scheduler knows no owner of, and give them back to their database",
	}
	c.AddCommand(t.volumeListCommand(at), t.volumeAdoptCommand(at))
	return c
}

func (t *tool) volumeListCommand(at *string) *cobra.Command {
	format := formatPretty
	c := &cobra.Command{
		Use: "list [OPTIONS]", Short: "List the volumes that no instance claims, as far as their hosts offer them", DisableFlagsInUseLine: true,
		Long: `Lists what lies on the hosts and belongs to nothing the scheduler knows: what a scheduler
has left that lost its state, or another framework. Nothing destroys them. A host shows its
volumes when it offers something, so ask again after a moment where one is missing.`,
		Example: "  pgbaton volume list\n  pgbaton volume list -f json", Args: between(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return t.listVolumes(cmd.Context(), *at, format) },
	}
	choiceVar(c, &format, "format", "f", "pretty, tsv, json or yaml", formats()...)
	return c
}

func (t *tool) volumeAdoptCommand(at *string) *cobra.Command {
	return &cobra.Command{
		Use: "adopt APP", Short: "Make members of the volumes of a database that the scheduler does not know", DisableFlagsInUseLine: true,
		Long: `Each volume of the app becomes a member that waits; when the definition of the app is posted
with the same id, members return to their volumes before any new one is made. List the volumes
first and wait until all are there: those that come later stay aside.`,
		Example: "  pgbaton volume list\n  pgbaton volume adopt /postgresql/main\n  pgbaton app add postgresql.json", Args: between(1, 1, "APP"),
		RunE: func(cmd *cobra.Command, args []string) error { return t.adoptVolumes(cmd.Context(), *at, args[0]) },
	}
}

func (t *tool) listVolumes(ctx context.Context, at, format string) error {
	var body struct{ Stray []app.StrayVolume }
	if err := t.askAboutVolumes(ctx, at, http.MethodGet, "/pg/v1/volumes", nil, &body); err != nil {
		return err
	}
	return t.printVolumes("Volumes without an owner", body.Stray, format)
}

func (t *tool) adoptVolumes(ctx context.Context, at, id string) error {
	var body struct{ Adopted []app.StrayVolume }
	ask := struct {
		App string `json:"app"`
	}{id}
	if err := t.askAboutVolumes(ctx, at, http.MethodPost, "/pg/v1/volumes/adopt", ask, &body); err != nil {
		return err
	}
	if err := t.printVolumes("Adopted volumes", body.Adopted, formatPretty); err != nil {
		return err
	}
	t.printf("Post the definition of %s: its members return to them.\n", id)
	return nil
}

func (t *tool) askAboutVolumes(ctx context.Context, at, method, path string, body, to any) error {
	m, err := t.marathon(at)
	if err != nil {
		return err
	}
	wait := t.waiting("waiting for the scheduler")
	defer wait.over()
	return m.ask(ctx, method, path, body, to)
}

func (t *tool) printVolumes(title string, list []app.StrayVolume, format string) error {
	s := sheet{title: title, columns: []column{{"Host", false}, {"App", false}, {"Volume", false}, {"Framework", false}}}
	for _, v := range list {
		s.add(v.Host, string(v.App), v.ID, v.Framework)
	}
	text, err := s.render(format)
	t.printf("%s", text)
	return err
}
