package main

import (
	"context"
	"net"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/dnsdisc"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// makeTree signs a node list for a domain, and tells its URL and its TXT records.
func makeTree(c command) error {
	key, err := crypto.HexToECDSA(c.Key)
	if err != nil {
		return err
	}
	nodes := make([]*enode.Node, len(c.Nodes))
	for i, text := range c.Nodes {
		if nodes[i], err = enode.Parse(enode.ValidSchemes, text); err != nil {
			return err
		}
	}
	tree, err := dnsdisc.MakeTree(uint(c.Seq), nodes, c.Links)
	if err != nil {
		return err
	}
	url, err := tree.Sign(key, c.Domain)
	if err != nil {
		return err
	}
	report(event{"event": "tree", "url": url, "records": tree.ToTXT(c.Domain)})
	return nil
}

// syncTree downloads a whole node list from the name server at an address, and tells what it holds.
func syncTree(c command) error {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, c.Server)
		},
	}
	client := dnsdisc.NewClient(dnsdisc.Config{Resolver: resolver, RateLimit: 10000})
	tree, err := client.SyncTree(c.URL)
	if err != nil {
		return err
	}
	texts := []string{}
	for _, node := range tree.Nodes() {
		texts = append(texts, node.String())
	}
	report(event{"event": "synced", "seq": tree.Seq(), "nodes": texts, "links": tree.Links()})
	return nil
}
