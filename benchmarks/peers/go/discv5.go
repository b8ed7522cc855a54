package main

import (
	crand "crypto/rand"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// discovererV5 is a node of discovery v5 that listens for nothing else.
type discovererV5 struct {
	server *p2p.Server
}

func newDiscovererV5(bootnodes ...*enode.Node) (player, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey:       key,
		Name:             "bench",
		MaxPeers:         1,
		NoDial:           true,
		ListenAddr:       "127.0.0.1:0",
		DiscAddr:         "127.0.0.1:0",
		DiscoveryV5:      true,
		BootstrapNodesV5: bootnodes,
	}}
	return &discovererV5{server}, server.Start()
}

func (d *discovererV5) greeting() answer { return answer{"url": d.server.Self().String()} }

func (d *discovererV5) obey(o order) (answer, error) {
	if o.Do != "look_up" {
		return nil, errUnknownOrder
	}
	for range o.Count {
		var target enode.ID
		crand.Read(target[:])
		d.server.DiscoveryV5().Lookup(target)
	}
	return answer{}, nil
}
