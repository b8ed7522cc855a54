package main

import (
	"bufio"
	"crypto/ecdsa"
	"fmt"
	"net"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/rlpx"
	"github.com/ethereum/go-ethereum/rlp"
)

// The base protocol.
const (
	helloCode = iota
	disconnectCode
	pingCode
	pongCode
	baseLength      = 16
	protocolVersion = 5
)

// hello is the first message of each end.
type hello struct {
	Version    uint64
	Name       string
	Caps       []p2p.Cap
	ListenPort uint64
	ID         []byte
	Rest       []rlp.RawValue `rlp:"tail"`
}

// bareConn is a connection of p2p/rlpx without a server: it costs little, and the same whoever
// listens.
type bareConn struct {
	*rlpx.Conn
	fd *bufferedConn
}

// bufferedConn keeps what is written until it is flushed, once it has a buffer.
type bufferedConn struct {
	net.Conn
	buffer *bufio.Writer
}

func (c *bufferedConn) Write(data []byte) (int, error) {
	if c.buffer == nil {
		return c.Conn.Write(data)
	}
	return c.buffer.Write(data)
}

// dialBare connects with a new key, and returns when both ends have exchanged their hellos.
func dialBare(node *enode.Node) (*bareConn, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	address, _ := node.TCPEndpoint()
	fd, err := net.DialTimeout("tcp", address.String(), connectTimeout)
	if err != nil {
		return nil, err
	}
	c := &bareConn{fd: &bufferedConn{Conn: fd}}
	c.Conn = rlpx.NewConn(c.fd, node.Pubkey())
	c.SetDeadline(time.Now().Add(connectTimeout))
	if err := c.greet(key); err != nil {
		fd.Close()
		return nil, err
	}
	return c, c.SetDeadline(time.Time{})
}

func (c *bareConn) greet(key *ecdsa.PrivateKey) error {
	if _, err := c.Handshake(key); err != nil {
		return err
	}
	ours := hello{
		Version: protocolVersion,
		Name:    "bare",
		Caps:    []p2p.Cap{{Name: "bench", Version: 1}},
		ID:      crypto.FromECDSAPub(&key.PublicKey)[1:],
	}
	data, err := rlp.EncodeToBytes(ours)
	if err != nil {
		return err
	}
	if _, err := c.Write(helloCode, data); err != nil {
		return err
	}
	code, data, _, err := c.Read()
	if err != nil {
		return err
	}
	if code != helloCode {
		return fmt.Errorf("message code %d (%x) instead of a hello", code, data)
	}
	var theirs hello
	if err := rlp.DecodeBytes(data, &theirs); err != nil {
		return err
	}
	c.SetSnappy(theirs.Version >= protocolVersion)
	return nil
}

// leave says goodbye, waits until the other end has closed the connection, and closes it.
func (c *bareConn) leave() error {
	defer c.Close()
	data, err := rlp.EncodeToBytes([]p2p.DiscReason{p2p.DiscRequested})
	if err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(connectTimeout))
	if _, err := c.Write(disconnectCode, data); err != nil {
		return err
	}
	for {
		_, _, _, err := c.Read()
		if e, ok := err.(net.Error); ok && e.Timeout() {
			return err
		}
		if err != nil {
			return nil // the end, or a reset
		}
	}
}

// bareShaker connects and disconnects without servers, each time with a new key.
type bareShaker struct {
	node *enode.Node
}

func (s *bareShaker) greeting() answer { return answer{} }

func (s *bareShaker) obey(o order) (answer, error) {
	if o.Do != "shake" {
		return nil, errUnknownOrder
	}
	return inLanes(o, func(_, count int) (int, error) {
		for range count {
			c, err := dialBare(s.node)
			if err != nil {
				return 0, err
			}
			if err := c.leave(); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
}
