// Command peer is a go-ethereum peer that a test drives by lines of JSON.
//
// It listens on a free port of 127.0.0.1, obeys one command per line of standard input, in order,
// and reports one event per line of standard output. The end of its input ends it. The commands
// and events are described in tests/interop/README.md; the Node program speaks the same.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/log"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// maxLine is the size of the longest command in bytes; one that makes a node list has all its nodes.
const maxLine = 16 << 20

// event is one line of output. Each has an "event" that names it.
type event map[string]any

// command is one line of input; which fields count depends on Cmd.
type command struct {
	Cmd      string `json:"cmd"`
	Enode    string `json:"enode"`
	Peer     string `json:"peer"` // node ID in hex; may be left out while there is one peer
	Protocol string `json:"protocol"`
	Code     uint64 `json:"code"`
	Size     int    `json:"size"`
	Seed     int    `json:"seed"`
	Count    int    `json:"count"`
	Mode     string `json:"mode"`
	Reason   uint8  `json:"reason"`
	Key      string `json:"key"` // hex of a key, or the name of an entry
	Value    string `json:"value"`
	Raw      string `json:"raw"`  // hex of the RLP of a value
	Node     string `json:"node"` // enode URL or record
	Seq      uint64 `json:"seq"`
	Request  string `json:"request"` // hex
	// Logarithmic distances.
	Distances []uint `json:"distances"`
	// Records, or enode URLs.
	Nodes []string `json:"nodes"`
	// Of a node list: its domain, its URL, the name server that has it, its links.
	Domain string   `json:"domain"`
	URL    string   `json:"url"`
	Server string   `json:"server"`
	Links  []string `json:"links"`
	// The entries of a record, by name.
	Entries map[string]json.RawMessage `json:"entries"`
}

// options are those of the command line.
type options struct {
	name, protocols, bootnodes string
	key, discAddr              string
	maxPeers                   int
	discovery, discv5, dial    bool
}

var (
	outputLock sync.Mutex
	output     = json.NewEncoder(os.Stdout)
)

func report(e event) {
	outputLock.Lock()
	defer outputLock.Unlock()
	output.Encode(e)
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "interop-go", "client name told in the hello")
	flag.StringVar(&o.protocols, "protocols", "foo/1/5", "comma-separated name/version/length")
	flag.IntVar(&o.maxPeers, "max-peers", 50, "how many peers are accepted")
	flag.BoolVar(&o.discovery, "discovery", false, "run discovery v4, on a free UDP port")
	flag.BoolVar(&o.discv5, "discv5", false, "run discovery v5, on a free UDP port")
	flag.StringVar(&o.key, "key", "", "64 hex digits of the private key; a new one without")
	flag.StringVar(&o.discAddr, "discovery-addr", "127.0.0.1:0", "UDP address of discovery")
	flag.StringVar(&o.bootnodes, "bootnodes", "", "comma-separated nodes to ask first")
	flag.BoolVar(&o.dial, "dial", false, "dial the nodes that discovery finds")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(o options) error {
	links := newLinkTable()
	config, err := configure(o, links)
	if err != nil {
		return err
	}
	server := &p2p.Server{Config: config}
	if err := server.Start(); err != nil {
		return err
	}
	added := make(chan *p2p.PeerEvent)
	server.SubscribeEvents(added)
	go reportAdded(server, added)
	if udp := server.DiscoveryV4(); udp != nil {
		go reportTable(udp.TableBuckets)
	} else if udp := server.DiscoveryV5(); udp != nil {
		go reportTable(udp.Nodes)
	}

	report(event{"event": "listening", "enode": server.Self().URLv4(),
		"record": server.Self().String()})
	obey(server, links)
	server.Stop()
	report(event{"event": "done"})
	return nil
}

func configure(o options, links *linkTable) (config p2p.Config, err error) {
	key, err := ownKey(o.key)
	if err != nil {
		return config, err
	}
	protocols, err := parseProtocols(o.protocols, links)
	if err != nil {
		return config, err
	}
	bootnodes, err := parseNodes(o.bootnodes)
	if err != nil {
		return config, err
	}
	if (o.discovery || o.discv5) && !o.dial {
		// The server dials what its protocols name. A source of its own keeps it from dialing all
		// that discovery finds, and this one is empty; nodes that a command names are dialed.
		for i := range protocols {
			protocols[i].DialCandidates = enode.IterNodes(nil)
		}
	}
	return p2p.Config{
		PrivateKey:       key,
		Name:             o.name,
		MaxPeers:         o.maxPeers,
		NoDiscovery:      !o.discovery && !o.discv5,
		DiscoveryV4:      o.discovery,
		DiscoveryV5:      o.discv5,
		DiscAddr:         o.discAddr,
		BootstrapNodes:   bootnodes,
		BootstrapNodesV5: bootnodes,
		ListenAddr:       "127.0.0.1:0",
		NoDial:           o.discv5 && !o.dial, // otherwise it looks for nodes all the time
		Protocols:        protocols,
		Logger:           log.NewLogger(&logWatcher{}),
	}, nil
}

// ownKey reads a private key, or makes one of an empty string.
func ownKey(digits string) (*ecdsa.PrivateKey, error) {
	if digits == "" {
		return crypto.GenerateKey()
	}
	return crypto.HexToECDSA(digits)
}

// parseProtocols reads "foo/1/5,bar/2/3"; nothing at all is a node without protocols.
func parseProtocols(list string, links *linkTable) (protocols []p2p.Protocol, err error) {
	for _, item := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		parts := strings.Split(item, "/")
		if len(parts) != 3 {
			return nil, fmt.Errorf("not name/version/length: %q", item)
		}
		version, err1 := strconv.ParseUint(parts[1], 10, 32)
		length, err2 := strconv.ParseUint(parts[2], 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		protocols = append(protocols, p2p.Protocol{
			Name:    parts[0],
			Version: uint(version),
			Length:  length,
			Run: func(peer *p2p.Peer, rw p2p.MsgReadWriter) error {
				return links.serve(peer, parts[0], rw)
			},
		})
	}
	return protocols, nil
}

// reportAdded tells of each new peer. Peers that leave are told by the log, which alone knows who
// gave the reason.
func reportAdded(server *p2p.Server, events <-chan *p2p.PeerEvent) {
	for e := range events {
		if e.Type != p2p.PeerEventTypeAdd {
			continue
		}
		if peer := findPeer(server, e.Peer.String()); peer != nil {
			caps := []string{}
			for _, c := range peer.Caps() {
				caps = append(caps, c.String())
			}
			report(event{"event": "peer_added", "peer": e.Peer.String(), "name": peer.Fullname(),
				"caps": caps, "inbound": peer.Inbound()})
		}
	}
}

// obey carries out commands until the input ends or says quit.
func obey(server *p2p.Server, links *linkTable) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		if err == nil && c.Cmd == "quit" {
			return
		}
		if err == nil {
			err = execute(server, links, c)
		}
		if err != nil {
			report(event{"event": "error", "cmd": c.Cmd, "error": err.Error()})
		}
	}
}

func execute(server *p2p.Server, links *linkTable, c command) error {
	switch c.Cmd {
	case "dial":
		node, err := enode.Parse(enode.ValidSchemes, c.Enode)
		if err != nil {
			return err
		}
		server.AddPeer(node) // the outcome is told by the events
		return nil
	case "mode":
		return links.setMode(c.Protocol, c.Mode, c.Count)
	case "send":
		return links.send(c, [][]byte{payload(c.Seed, c.Size)})
	case "send_numbered":
		return links.send(c, numbered(c.Count))
	case "disconnect":
		peer := findPeer(server, c.Peer)
		if peer == nil {
			return errors.New("no such peer")
		}
		peer.Disconnect(p2p.DiscReason(c.Reason))
		return nil
	case "table", "lookup", "ping", "request_enr", "resolve":
		if udp := server.DiscoveryV5(); udp != nil {
			return executeV5(udp, c)
		}
		return executeDiscovery(server, c)
	case "add_nodes", "find_node", "talk", "on_talk":
		udp := server.DiscoveryV5()
		if udp == nil {
			return errNoDiscovery
		}
		return executeV5(udp, c)
	case "set_entry":
		return setEntry(server, c)
	case "self":
		reportNode("self", server.Self())
		return nil
	case "parse_node":
		return parseNode(c.Node)
	case "make_record":
		return makeRecord(c)
	case "make_tree":
		return makeTree(c)
	case "sync_tree":
		return syncTree(c)
	default:
		return errors.New("unknown command")
	}
}

// findPeer finds a peer by the hex of its ID; an empty string stands for any.
func findPeer(server *p2p.Server, id string) *p2p.Peer {
	for _, peer := range server.Peers() {
		if id == "" || peer.ID().String() == id {
			return peer
		}
	}
	return nil
}
