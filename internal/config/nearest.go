package config

// farthest is how many letters may differ between what somebody wrote and what he may have meant.
const farthest = 2

// nearest is the known name that differs least from a given one; empty where none is near.
func nearest(given string, known []string) string {
	best, least := "", farthest+1
	for _, name := range known {
		if d := distance(given, name); d < least {
			best, least = name, d
		}
	}
	if least*2 >= len(given) {
		return ""
	}
	return best
}

// distance is how many letters have to be put in, taken out or replaced to make one word of the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
