package main

import (
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/discover"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/enr"
	"github.com/ethereum/go-ethereum/rlp"
)

// The node table tells nobody of its changes, so it is looked at this often.
const tableInterval = 50 * time.Millisecond

var errNoDiscovery = errors.New("started without --discovery")

// parseNodes reads enode URLs or records, separated by commas.
func parseNodes(list string) (nodes []*enode.Node, err error) {
	for _, text := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		node, err := enode.Parse(enode.ValidSchemes, text)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// buckets returns what is in a node table now.
type buckets func() [][]discover.BucketNode

// tableNodes returns the nodes of all buckets.
func tableNodes(table buckets) []discover.BucketNode {
	return slices.Concat(table()...)
}

// reportTable tells of the nodes that come into the table and leave it, and of records of theirs
// that have been fetched, until the program ends.
func reportTable(table buckets) {
	known := make(map[enode.ID]uint64) // the sequence of the record, 0 without one
	for range time.Tick(tableInterval) {
		before := known
		known = make(map[enode.ID]uint64)
		for _, n := range tableNodes(table) {
			id, seq := n.Node.ID(), n.Node.Seq()
			known[id] = seq
			old, wasKnown := before[id]
			delete(before, id)
			if !wasKnown {
				reportNode("node_added", n.Node)
			}
			if seq > old {
				reportNode("node_updated", n.Node)
			}
		}
		for id := range before {
			report(event{"event": "node_removed", "peer": id.String()})
		}
	}
}

// executeDiscovery carries out the commands that concern discovery.
func executeDiscovery(server *p2p.Server, c command) error {
	udp := server.DiscoveryV4()
	if udp == nil {
		return errNoDiscovery
	}
	switch c.Cmd {
	case "table":
		return reportTableOnce(udp.TableBuckets)
	case "lookup":
		return lookup(udp, c.Key)
	}
	node, err := enode.Parse(enode.ValidSchemes, c.Enode)
	if err != nil {
		return err
	}
	switch c.Cmd {
	case "ping":
		pong, err := udp.Ping(node)
		if err != nil {
			return err
		}
		report(event{"event": "pong", "peer": node.ID().String(), "seq": pong.ENRSeq})
	case "request_enr":
		found, err := udp.RequestENR(node)
		if err != nil {
			return err
		}
		reportNode("record", found)
	case "resolve":
		reportNode("resolved", udp.Resolve(node))
	}
	return nil
}

func reportTableOnce(table buckets) error {
	nodes := []event{}
	for _, n := range tableNodes(table) {
		nodes = append(nodes, event{"peer": n.Node.ID().String(), "enode": n.Node.URLv4(),
			"seq": n.Node.Seq(), "live": n.Live})
	}
	report(event{"event": "table", "nodes": nodes})
	return nil
}

func lookup(udp *discover.UDPv4, key string) error {
	public, err := parsePublicKey(key)
	if err != nil {
		return err
	}
	reportFound(udp.LookupPubkey(public))
	return nil
}

// reportFound tells the IDs of nodes.
func reportFound(nodes []*enode.Node) {
	found := []string{}
	for _, node := range nodes {
		found = append(found, node.ID().String())
	}
	report(event{"event": "found", "nodes": found})
}

// parsePublicKey reads the 128 hex digits of a public key.
func parsePublicKey(digits string) (*ecdsa.PublicKey, error) {
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, err
	}
	return crypto.UnmarshalPubkey(append([]byte{4}, data...))
}

// setEntry puts a text, or the RLP of a value, into our own record, which is signed anew for it.
func setEntry(server *p2p.Server, c command) error {
	entry := enr.WithEntry(c.Key, c.Value)
	if c.Raw != "" {
		raw, err := hex.DecodeString(c.Raw)
		if err != nil {
			return err
		}
		entry = enr.WithEntry(c.Key, rlp.RawValue(raw))
	}
	server.LocalNode().Set(entry)
	reportNode("self", server.Self())
	return nil
}

func reportNode(name string, node *enode.Node) {
	report(event{"event": name, "peer": node.ID().String(), "seq": node.Seq(),
		"enode": node.URLv4(), "record": node.String()})
}
