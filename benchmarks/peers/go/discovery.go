package main

import (
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
)

// discoverer is a node of discovery v4 that listens for nothing else.
type discoverer struct {
	server *p2p.Server
}

func newDiscoverer() (player, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey:  key,
		Name:        "bench",
		MaxPeers:    1,
		NoDial:      true,
		ListenAddr:  "127.0.0.1:0",
		DiscAddr:    "127.0.0.1:0",
		DiscoveryV4: true,
	}}
	return &discoverer{server}, server.Start()
}

func (d *discoverer) greeting() answer { return answer{"url": d.server.Self().URLv4()} }

func (d *discoverer) obey(order) (answer, error) { return nil, errUnknownOrder }
