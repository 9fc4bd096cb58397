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
