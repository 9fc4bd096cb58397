package place

import (
	"slices"

	"github.com/pgbaton/pgbaton/internal/marathon/app"
)

// Mounts are the volumes of an app that want a disk of their own.
func Mounts(a app.App) []app.PersistentVolume {
	if a.Container == nil {
		return nil
	}
	var list []app.PersistentVolume
	for _, v := range a.Container.Volumes {
		if v.Persistent != nil && v.Persistent.Type == app.VolumeMount {
			list = append(list, *v.Persistent)
		}
	}
	return list
}

// mount gives volumes the smallest disks they may take. It returns the disks that are left and how much of what the volumes
// want lies on those they got.
func mount(volumes []app.PersistentVolume, disks []float64) (left []float64, mounted float64) {
	if len(volumes) == 0 || len(disks) == 0 {
		return disks, 0
	}
	left = slices.Clone(disks)
	for _, v := range volumes {
		if i := SmallestMount(v, left); i >= 0 {
			left = slices.Delete(left, i, i+1)
			mounted += float64(v.Size)
		}
	}
	return left, mounted
}

// mounted is how much of the disk an instance wants lies on disks of the host that are free as a whole. One that has its
// volume already finds it among what is free for it.
func (q *query) mounted(h *host) float64 {
	if q.Host != "" || len(h.mounts) == 0 {
		return 0
	}
	_, mounted := mount(q.mounts, h.mounts)
	return mounted
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
