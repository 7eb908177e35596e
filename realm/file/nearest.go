package file

import "strings"

// nearest returns the candidate that word was probably meant to be, "" if none
// is near. Of those that are as near it is one that begins with the word.
func nearest(word string, candidates []string) string {
	best, limit := "", 1+min(2, (len(word)+1)/3)
	least, begun := limit, false
	for _, c := range candidates {
		n, begins := distance(word, c, limit), strings.HasPrefix(c, word)
		if n < least || n == least && n < limit && begins && !begun {
			best, least, begun = c, n, begins
		}
	}
	return best
}

// distance is the number of octets to insert, delete, change or swap with
// their neighbour, at most limit (optimal string alignment).
func distance(a, b string, limit int) int {
	if len(a) > 64 || len(b) > 64 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var rows [3][65]int
	two, one, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return min(one[len(b)], limit)
}
