package peer

import (
	"os"
	"strconv"
)

// Address is a loopback address that belongs to the tests of this process. A port that was free there stays free: on
// 127.0.0.1 the kernel may give it, a moment later, to whoever opens a connection.
func Address() string {
	pid := os.Getpid()
	return "127.77." + strconv.Itoa(pid>>8&0xff) + "." + strconv.Itoa(1+pid%254)
}
