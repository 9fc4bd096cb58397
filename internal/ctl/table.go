package ctl

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// column is one column of a table.
type column struct {
	title string
	right bool
}

// table renders rows in the frame that patronictl's users know; the title lies over the first rule. A rule
// follows each row when any cell has more than one line.
func table(title string, columns []column, rows [][]string) string {
	widths := make([]int, len(columns))
	tall := false
	for i, c := range columns {
		widths[i] = cellWidth(c.title)
		for _, row := range rows {
			for line := range strings.SplitSeq(row[i], "\n") {
				widths[i] = max(widths[i], cellWidth(line))
			}
			tall = tall || strings.Contains(row[i], "\n")
		}
	}
	rule := ruler(widths)
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.title
	}
	var b strings.Builder
	b.WriteString(overlay(rule, title) + "\n" + line(columns, widths, head) + rule + "\n")
	for i, row := range rows {
		b.WriteString(line(columns, widths, row))
		if tall && i < len(rows)-1 {
			b.WriteString(rule + "\n")
		}
	}
	b.WriteString(rule + "\n")
	return b.String()
}

// cellWidth is how many columns of a terminal a text takes: letters of some languages take two.
func cellWidth(text string) int {
	c := runewidth.Condition{StrictEmojiNeutral: true} // whatever the locale of whoever looks
	return c.StringWidth(text)
}

func ruler(widths []int) string {
	var b strings.Builder
	for _, w := range widths {
		b.WriteString("+" + strings.Repeat("-", w+2))
	}
	return b.String() + "+"
}

// overlay writes the title over the rule, from its second character on; what does not fit is cut.
func overlay(rule, title string) string {
	if title == "" {
		return rule
	}
	out := []rune(rule)
	copy(out[1:len(out)-1], []rune(" "+title+" "))
	return string(out)
}

// line renders one row, which may be several lines high.
func line(columns []column, widths []int, cells []string) string {
	split := make([][]string, len(cells))
	height := 1
	for i, c := range cells {
		split[i] = strings.Split(c, "\n")
		height = max(height, len(split[i]))
	}
	var b strings.Builder
	for y := range height {
		for i := range cells {
			text := ""
			if y < len(split[i]) {
				text = split[i][y]
			}
			b.WriteString("| " + pad(text, widths[i], columns[i].right) + " ")
		}
		b.WriteString("|\n")
	}
	return b.String()
}

func pad(text string, width int, right bool) string {
	gap := strings.Repeat(" ", max(0, width-cellWidth(text)))
	if right {
		return gap + text
	}
	return text + gap
}
