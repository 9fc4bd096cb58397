package process

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyCleanPartsOfFilesAreDropped(t *testing.T) {
	const smaps = `00400000-01000000 r-xp 00000000 08:01 1 /usr/bin/pgbaton
Rss:                 100 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01000000-02000000 r--p 00c00000 08:01 1 /usr/bin/pgbaton
Anonymous:             4 kB
02000000-03000000 rw-p 01c00000 08:01 1 /usr/bin/pgbaton
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
7ffd0000-7ffe0000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
03000000-04000000 r--p 02c00000 08:01 1 /usr/bin/pgbaton
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0xc00000}, {0x3000000, 0x1000000}}
	if diff := cmp.Diff(want, clean(strings.NewReader(smaps)), cmp.AllowUnexported(mapping{})); diff != "" {
		t.Error(diff)
	}
}
