package place

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// mounted is how much of the disk an instance wants lies on disks of the host that are free as a whole. One that has its
// volume already finds it among what is free for it.
func (q *query) mounted(h *host) float64 {
	if len(h.offer.Mounts) == 0 || q.Host != "" || q.App.Container == nil {
		return 0
	}
	free := slices.Sorted(slices.Values(h.offer.Mounts))
	sum := 0.0
	for _, v := range q.App.Container.Volumes {
		if v.Persistent == nil || v.Persistent.Type != app.VolumeMount {
			continue
		}
		if i := SmallestMount(*v.Persistent, free); i >= 0 {
			sum += float64(v.Persistent.Size)
			free = slices.Delete(free, i, i+1)
		}
	}
	return sum
}

// SmallestMount is the index of the smallest disk that a volume of type mount may take, -1 when there is none.
func SmallestMount(p app.PersistentVolume, sizes []float64) int {
	best := -1
	for i, size := range sizes {
		fits := size+tolerance >= float64(p.Size) && (p.MaxSize == nil || size <= float64(*p.MaxSize)+tolerance)
		if fits && (best < 0 || size < sizes[best]) {
			best = i
		}
	}
	return best
}
