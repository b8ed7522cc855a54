package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

const (
	maxPeers       = 1100
	maxLanes       = 8
	nodesOfALane   = 2 // they take turns, so that the other end has time to forget the one before
	connectTimeout = 30 * time.Second

	// The flags of a connection of SetupConn that was dialed, of a static and trusted node. Their
	// type and names are private to the package, not the method.
	dialedFlags = 2 | 8
)

var errUnknownOrder = errors.New("unknown order")

// listener is the end that receives.
type listener struct {
	server   *p2p.Server
	arrivals chan struct{}
	arrived  int
}

func newListener() (player, error) {
	l := &listener{arrivals: make(chan struct{}, 1<<20)}
	server, err := startServer("127.0.0.1:0", func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
		l.arrivals <- struct{}{}
		return serve(rw)
	})
	l.server = server
	return l, err
}

// startServer starts a server without discovery; with an address, it listens and never dials.
func startServer(address string, run func(*p2p.Peer, p2p.MsgReadWriter) error) (*p2p.Server, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	server := &p2p.Server{Config: p2p.Config{
		PrivateKey:  key,
		Name:        "bench",
		MaxPeers:    maxPeers,
		NoDiscovery: true,
		NoDial:      address != "",
		ListenAddr:  address,
		Protocols: []p2p.Protocol{
			{Name: "bench", Version: 1, Length: protocolLength, Run: run},
		},
	}}
	return server, server.Start()
}

func (l *listener) greeting() answer { return answer{"url": l.server.Self().URLv4()} }

func (l *listener) obey(o order) (answer, error) {
	if o.Do != "await_arrivals" {
		return nil, errUnknownOrder
	}
	deadline := time.After(connectTimeout)
	for l.arrived < o.Count {
		select {
		case <-l.arrivals:
			l.arrived++
		case <-deadline:
			return nil, fmt.Errorf("%d of %d peers have come", l.arrived, o.Count)
		}
	}
	return answer{"arrivals": l.arrived}, nil
}

// dialer is the end that sends, from within its handler.
type dialer struct {
	links chan p2p.MsgReadWriter
	link  p2p.MsgReadWriter
}

func newDialer(node *enode.Node) (player, error) {
	d := &dialer{links: make(chan p2p.MsgReadWriter)}
	server, err := startServer("", func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
		d.links <- rw
		select {}
	})
	if err != nil {
		return nil, err
	}
	if err := connect(server, node); err != nil {
		return nil, err
	}
	d.link = <-d.links
	return d, nil
}

// connect dials and shakes hands as the server's own scheduler would, but at once: that dials a
// node no more than every 35 s.
func connect(server *p2p.Server, node *enode.Node) error {
	address, _ := node.TCPEndpoint()
	fd, err := net.DialTimeout("tcp", address.String(), connectTimeout)
	if err != nil {
		return err
	}
	return server.SetupConn(fd, dialedFlags, node)
}

func (d *dialer) greeting() answer { return answer{} }

func (d *dialer) obey(o order) (answer, error) {
	switch o.Do {
	case "send":
		return send(d.link, o.Count, o.Size)
	case "ping_pong":
		return pingPong(d.link, o.Count, o.Size)
	}
	return nil, errUnknownOrder
}

// shaker is nodes that connect and disconnect.
type shaker struct {
	node  *enode.Node
	lanes [maxLanes][nodesOfALane]*shaking
}

// shaking is one node of a shaker, and the events of its server.
type shaking struct {
	server *p2p.Server
	events chan *p2p.PeerEvent
}

func newShaker(node *enode.Node) (player, error) {
	s := &shaker{node: node}
	for i := range maxLanes * nodesOfALane {
		server, err := startServer("", func(_ *p2p.Peer, rw p2p.MsgReadWriter) error {
			_, err := rw.ReadMsg()
			return err
		})
		if err != nil {
			return nil, err
		}
		one := &shaking{server, make(chan *p2p.PeerEvent, 16)}
		server.SubscribeEvents(one.events)
		s.lanes[i/nodesOfALane][i%nodesOfALane] = one
	}
	return s, nil
}

func (s *shaker) greeting() answer { return answer{} }

func (s *shaker) obey(o order) (answer, error) {
	if o.Do != "shake" {
		return nil, errUnknownOrder
	}
	return inLanes(o, func(i, count int) (int, error) { return s.shake(i, count) })
}

// inLanes has each lane do its share, and tells the seconds until all have.
func inLanes(o order, do func(lane, count int) (int, error)) (answer, error) {
	each := o.Count / o.Lanes
	refusals, errs := make([]int, o.Lanes), make([]error, o.Lanes)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range o.Lanes {
		wg.Go(func() { refusals[i], errs[i] = do(i, each) })
	}
	wg.Wait()
	seconds := time.Since(start).Seconds()
	sum := 0
	for _, n := range refusals {
		sum += n
	}
	return answer{"seconds": seconds, "count": each * o.Lanes, "refusals": sum}, errors.Join(errs...)
}

// shake connects and disconnects, each time until the peer has gone.
func (s *shaker) shake(lane, count int) (refusals int, err error) {
	for turn := 0; count > 0; turn++ {
		one := s.lanes[lane][turn%nodesOfALane]
		err := connect(one.server, s.node)
		if errors.Is(err, p2p.DiscAlreadyConnected) {
			refusals++ // its end of the connection before has not gone yet: not counted
			continue
		}
		if err != nil {
			return refusals, err
		}
		if err := one.disconnect(); err != nil {
			return refusals, err
		}
		count--
	}
	return refusals, nil
}

func (l *shaking) disconnect() error {
	for _, peer := range l.server.Peers() {
		peer.Disconnect(p2p.DiscRequested)
	}
	deadline := time.After(connectTimeout)
	for {
		select {
		case e := <-l.events:
			if e.Type == p2p.PeerEventTypeDrop {
				return nil
			}
		case <-deadline:
			return errors.New("the peer does not go")
		}
	}
}
