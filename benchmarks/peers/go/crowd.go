package main

import (
	"bufio"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/rlp"
)

// bufferBytes holds a burst of small messages.
const bufferBytes = 4096

// crowd is many peers that say nothing but pong, until they are told to send.
type crowd struct {
	node    *enode.Node
	members []*member
	each    int // how many messages a member is to send
	texts   [][]byte
}

// member is one of them: a connection with a reader of its own.
type member struct {
	*bareConn
	lock   sync.Mutex // for writing
	codes  chan uint64
	failed chan error
}

func (c *crowd) greeting() answer { return answer{} }

func (c *crowd) obey(o order) (answer, error) {
	switch o.Do {
	case "grow":
		return c.grow(o)
	case "prepare":
		return c.prepare(o)
	case "send":
		return c.send(o)
	}
	return nil, errUnknownOrder
}

// grow connects, in so many lanes, until there are as many as wanted.
func (c *crowd) grow(o order) (answer, error) {
	var lock sync.Mutex
	before := len(c.members)
	lanes := max(1, o.Lanes)
	result, err := inLanes(order{Count: lanes, Lanes: lanes}, func(lane, _ int) (int, error) {
		for i := before + lane; i < o.Count; i += lanes {
			m, err := join(c.node)
			if err != nil {
				return 0, fmt.Errorf("member %d: %w", i, err)
			}
			lock.Lock()
			c.members = append(c.members, m)
			lock.Unlock()
		}
		return 0, nil
	})
	if err != nil {
		return nil, err
	}
	return answer{"count": len(c.members), "seconds": result["seconds"]}, nil
}

func join(node *enode.Node) (*member, error) {
	c, err := dialBare(node)
	if err != nil {
		return nil, err
	}
	m := &member{bareConn: c, codes: make(chan uint64, 4), failed: make(chan error, 1)}
	c.fd.buffer = bufio.NewWriterSize(c.fd.Conn, bufferBytes)
	go m.read()
	return m, nil
}

// read answers pings, and hands on the codes of the messages of "bench".
func (m *member) read() {
	for {
		code, data, _, err := m.Read()
		switch {
		case err != nil:
			m.failed <- err
			return
		case code == disconnectCode:
			m.failed <- fmt.Errorf("disconnected: %x", data)
			return
		case code == pingCode:
			if m.write(pongCode, []byte{0xC0}, true) != nil {
				return
			}
		case code >= baseLength:
			m.codes <- code - baseLength
		}
	}
}

func (m *member) write(code uint64, data []byte, flush bool) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if _, err := m.Write(code, data); err != nil {
		return err
	}
	if flush {
		return m.fd.buffer.Flush()
	}
	return nil
}

func (m *member) expect(wanted uint64) error {
	select {
	case code := <-m.codes:
		if code != wanted {
			return fmt.Errorf("got message code %d instead of %d", code, wanted)
		}
		return nil
	case err := <-m.failed:
		return err
	case <-time.After(connectTimeout):
		return errors.New("no answer")
	}
}

// prepare agrees with the listener on so many messages, of all members together.
func (c *crowd) prepare(o order) (answer, error) {
	c.each = o.Count / len(c.members)
	c.texts = payloads(o.Size)
	r := request{"send", uint64(c.each), uint64(o.Size), 0}
	data, err := rlp.EncodeToBytes(r)
	if err != nil {
		return nil, err
	}
	for _, m := range c.members {
		if err := m.write(beginMsg+baseLength, data, true); err != nil {
			return nil, err
		}
		if err := m.expect(readyMsg); err != nil {
			return nil, err
		}
	}
	return answer{"count": c.each * len(c.members)}, nil
}

// send sends what was agreed on: so many messages of the first member in one burst, then of the
// second, and again from the first, until the listener has said to each that all came.
func (c *crowd) send(o order) (answer, error) {
	start := time.Now()
	for at := 0; at < c.each; at += o.Burst {
		last := min(at+o.Burst, c.each) - 1
		for _, m := range c.members {
			for i := at; i <= last; i++ {
				text := c.texts[i%len(c.texts)]
				if err := m.write(dataMsg+baseLength, text, i == last); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, m := range c.members {
		if err := m.expect(doneMsg); err != nil {
			return nil, err
		}
	}
	return answer{"seconds": time.Since(start).Seconds()}, nil
}
