package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
)

// A protocol may start a moment after its peer is reported; a send waits this long for it.
const startTimeout = 5 * time.Second

// link is one protocol running with one peer.
type link struct {
	peer, protocol string
	rw             p2p.MsgReadWriter
}

// mode says what is done with the messages of a protocol: "report", "echo" or "count".
type mode struct {
	name  string
	count int // for "count": how many numbered messages are awaited
}

// linkTable knows the running links and the modes. Any goroutine may use it.
type linkTable struct {
	lock    sync.Mutex
	changed chan struct{} // closed and replaced whenever a link starts
	links   map[*link]bool
	modes   map[string]mode
}

func newLinkTable() *linkTable {
	return &linkTable{
		changed: make(chan struct{}),
		links:   make(map[*link]bool),
		modes:   make(map[string]mode),
	}
}

func (t *linkTable) setMode(protocol, name string, count int) error {
	if name != "report" && name != "echo" && name != "count" {
		return errors.New("unknown mode")
	}
	t.lock.Lock()
	defer t.lock.Unlock()
	t.modes[protocol] = mode{name, count}
	report(event{"event": "mode_set", "protocol": protocol, "mode": name})
	return nil
}

func (t *linkTable) mode(protocol string) mode {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.modes[protocol]
}

// serve is the handler of every protocol: it reads until the peer leaves.
func (t *linkTable) serve(peer *p2p.Peer, protocol string, rw p2p.MsgReadWriter) error {
	l := &link{peer.ID().String(), protocol, rw}
	t.lock.Lock()
	t.links[l] = true
	close(t.changed)
	t.changed = make(chan struct{})
	t.lock.Unlock()
	defer func() {
		t.lock.Lock()
		delete(t.links, l)
		t.lock.Unlock()
	}()

	counted, inOrder := 0, true
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(msg.Payload)
		if err != nil {
			return err
		}
		m := t.mode(protocol)
		if m.name == "count" {
			inOrder = inOrder && len(data) == 4 && binary.BigEndian.Uint32(data) == uint32(counted)
			counted++
			if counted == m.count {
				l.report("counted", event{"count": counted, "in_order": inOrder})
			}
			continue
		}
		sum := sha256.Sum256(data)
		l.report("message", event{"code": msg.Code, "size": len(data),
			"sha256": hex.EncodeToString(sum[:])})
		if m.name == "echo" {
			if err := l.write(msg.Code, data); err != nil {
				return err
			}
		}
	}
}

// send writes payloads with the command's code to the link that the command names.
func (t *linkTable) send(c command, payloads [][]byte) error {
	l, err := t.wait(c.Peer, c.Protocol)
	if err != nil {
		return err
	}
	for _, data := range payloads {
		if err := l.write(c.Code, data); err != nil {
			return err
		}
	}
	l.report("sent", event{"code": c.Code, "count": len(payloads)})
	return nil
}

// wait finds a link, or waits until it starts.
func (t *linkTable) wait(peer, protocol string) (*link, error) {
	deadline := time.After(startTimeout)
	for {
		t.lock.Lock()
		for l := range t.links {
			if l.protocol == protocol && (peer == "" || l.peer == peer) {
				t.lock.Unlock()
				return l, nil
			}
		}
		changed := t.changed
		t.lock.Unlock()
		select {
		case <-changed:
		case <-deadline:
			return nil, errors.New("protocol is not running")
		}
	}
}

func (l *link) write(code uint64, data []byte) error {
	return l.rw.WriteMsg(p2p.Msg{Code: code, Size: uint32(len(data)), Payload: bytes.NewReader(data)})
}

func (l *link) report(name string, e event) {
	e["event"], e["peer"], e["protocol"] = name, l.peer, l.protocol
	report(e)
}

// payload returns the bytes that stand for a seed: SHAKE-128 of its decimal digits, which does not
// compress.
func payload(seed, size int) []byte {
	return sha3.SumSHAKE128([]byte(strconv.Itoa(seed)), size)
}

// numbered returns the payloads of count messages: 0, 1, 2 ... as 4 bytes, big end first.
func numbered(count int) [][]byte {
	payloads := make([][]byte, count)
	for i := range payloads {
		payloads[i] = binary.BigEndian.AppendUint32(nil, uint32(i))
	}
	return payloads
}
