package haproxy

import (
	"fmt"
	"strconv"
	"strings"
)

// serverName is a member's name as HAProxy can carry it: characters it does not take are written as ':'
// and two hexadecimal digits for each byte. Ordinary names stay as they are.
func serverName(member string) string {
	var out strings.Builder
	for i := range len(member) {
		if b := member[i]; plain(b) {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, ":%02x", b)
		}
	}
	return out.String()
}

// memberName undoes serverName. A name that serverName never makes is returned as it stands: somebody
// else added that server.
func memberName(server string) string {
	var out strings.Builder
	for i := 0; i < len(server); i++ {
		if server[i] != ':' {
			out.WriteByte(server[i])
			continue
		}
		if i+3 > len(server) {
			return server
		}
		b, err := strconv.ParseUint(server[i+1:i+3], 16, 8)
		if err != nil {
			return server
		}
		out.WriteByte(byte(b))
		i += 2
	}
	return out.String()
}

func plain(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.'
}
