// Command bench plays one process of a workload with go-ethereum's p2p, as benchmarks/node.py does
// with ours: the same roles, the same lines of JSON, the same conversation between peers.
//
//	bench listen          waits for peers and does what they ask for
//	bench dial URL        connects to a listener, and sends to it
//	bench shake URL       whole servers that connect and disconnect
//	bench bare-shake URL  the same by bare connections of p2p/rlpx, without a server
//	bench crowd URL       many idle peers, bare connections as well, that can send, too
//	bench discover        a node of discovery v4
//	bench discover-v5 [BOOTNODE]  a node of discovery v5
//
// It says in a line of standard output that it is ready, then answers each line of its standard
// input with one, and ends with its input. What fails ends it with a text on standard error.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// order is one line of input; which fields count depends on Do.
type order struct {
	Do    string `json:"do"`
	Count int    `json:"count"`
	Size  int    `json:"size"`
	Lanes int    `json:"lanes"`
	Burst int    `json:"burst"`
}

// answer is one line of output.
type answer map[string]any

// player plays a role: it says hello, then carries out orders one after the other.
type player interface {
	greeting() answer
	obey(o order) (answer, error)
}

func main() {
	log.SetDefault(log.NewLogger(slog.DiscardHandler))
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	p, err := newPlayer(args)
	if err != nil {
		return err
	}
	output := json.NewEncoder(os.Stdout)
	if err := output.Encode(p.greeting()); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		result, err := obey(p, o)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Do, err)
		}
		if err := output.Encode(result); err != nil {
			return err
		}
	}
	return nil
}

// newPlayer starts the role that the command line names.
func newPlayer(args []string) (player, error) {
	switch {
	case len(args) == 1 && args[0] == "listen":
		return newListener()
	case len(args) == 1 && args[0] == "discover":
		return newDiscoverer()
	case len(args) == 1 && args[0] == "discover-v5":
		return newDiscovererV5()
	case len(args) != 2:
		return nil, errors.New("usage: bench listen|discover|discover-v5, " +
			"or dial|shake|bare-shake|crowd|discover-v5 URL")
	}
	node, err := enode.Parse(enode.ValidSchemes, args[1])
	if err != nil {
		return nil, err
	}
	switch args[0] {
	case "discover-v5":
		return newDiscovererV5(node)
	case "dial":
		return newDialer(node)
	case "shake":
		return newShaker(node)
	case "bare-shake":
		return &bareShaker{node}, nil
	case "crowd":
		return &crowd{node: node}, nil
	}
	return nil, errors.New("unknown role")
}

// obey carries out the orders that every role knows, and hands the others on.
func obey(p player, o order) (answer, error) {
	switch o.Do {
	case "cpu":
		return cpu()
	case "memory":
		return memory()
	}
	return p.obey(o)
}

// cpu tells the seconds of CPU of this process until now, user and system.
func cpu() (answer, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return nil, err
	}
	nanos := syscall.TimevalToNsec(usage.Utime) + syscall.TimevalToNsec(usage.Stime)
	return answer{"cpu_s": time.Duration(nanos).Seconds()}, nil
}

// memory tells the bytes of this process that are in memory, before and after garbage is given
// back to the system.
func memory() (answer, error) {
	before, err := residentBytes()
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory()
	after, err := residentBytes()
	return answer{"uncollected_bytes": before, "rss_bytes": after}, err
}

func residentBytes() (int, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	return pages * os.Getpagesize(), err
}
