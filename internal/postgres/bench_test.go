package postgres

import "testing"

// What one tick of the agent costs on a running server.
func BenchmarkStatus(b *testing.B) {
	n1 := primary(b, "n1")
	n2 := standby(b, "n2", n1)
	await(b, n2, "streams", streaming(n1))
	for name, s := range map[string]*Server{"primary": n1, "standby": n2} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if st := s.Status(b.Context()); !st.Answers {
					b.Fatal(st.Err)
				}
			}
		})
	}
	if _, err := n2.Stop(within(b), StopOptions{}); err != nil {
		b.Fatal(err)
	}
	b.Run("stopped", func(b *testing.B) {
		for b.Loop() {
			if st := n2.Status(b.Context()); st.Err != nil {
				b.Fatal(st.Err)
			}
		}
	})
}

// What it costs until every process goes by other names, and to ask for those that are set.
func BenchmarkSetSyncNames(b *testing.B) {
	s := primary(b, "n1")
	set := func(text string) {
		if err := s.SetSyncNames(b.Context(), SyncNames{Managed: true, Text: text}); err != nil {
			b.Fatal(err)
		}
	}
	for what, texts := range map[string][]string{"others": {"a", "b"}, "somebody and nobody": {"a", ""}, "the same": {"a"}} {
		b.Run(what, func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				set(texts[n%len(texts)])
			}
		})
	}
}
