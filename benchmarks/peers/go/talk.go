package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/p2p"
)

// The messages of the protocol "bench"; benchmarks/node.py describes the conversation.
const (
	beginMsg = iota
	readyMsg
	dataMsg
	doneMsg
	protocolLength
)

// request is what BEGIN carries.
type request struct {
	Job         string
	Count, Size uint64
	Busy        uint64 // handlers that compute; only ours do
}

// turns tells how many different payloads of a size are sent in turn.
func turns(size int) int {
	if size < 1024 {
		return 1024
	}
	return 16
}

// payloads returns payloads to be sent in turn, each with its number in front.
func payloads(size int) [][]byte {
	rest := make([]byte, size-8)
	rand.Read(rest)
	made := make([][]byte, turns(size))
	for i := range made {
		made[i] = append(binary.BigEndian.AppendUint64(nil, uint64(i)), rest...)
	}
	return made
}

func write(rw p2p.MsgWriter, code uint64, data []byte) error {
	return rw.WriteMsg(p2p.Msg{Code: code, Size: uint32(len(data)), Payload: bytes.NewReader(data)})
}

// serve is the handler of the end that listens.
func serve(rw p2p.MsgReadWriter) error {
	for {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		var r request
		if err := msg.Decode(&r); err != nil {
			return err
		}
		if err := p2p.SendItems(rw, readyMsg); err != nil {
			return err
		}
		if r.Job == "echo" {
			err = echo(rw, int(r.Count))
		} else {
			err = receive(rw, int(r.Count), int(r.Size))
		}
		if err != nil {
			return err
		}
		if err := p2p.SendItems(rw, doneMsg); err != nil {
			return err
		}
	}
}

// receive reads messages; each must be the one that comes next.
func receive(rw p2p.MsgReader, count, size int) error {
	turns := turns(size)
	data := make([]byte, size)
	for i := range count {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		if int(msg.Size) != size {
			return fmt.Errorf("message %d has %d bytes", i, msg.Size)
		}
		if _, err := io.ReadFull(msg.Payload, data); err != nil {
			return err
		}
		if number := binary.BigEndian.Uint64(data); number != uint64(i%turns) {
			return fmt.Errorf("got message %d instead of %d", number, i%turns)
		}
	}
	return nil
}

// echo sends back what comes.
func echo(rw p2p.MsgReadWriter, count int) error {
	for range count {
		msg, err := rw.ReadMsg()
		if err != nil {
			return err
		}
		if err := rw.WriteMsg(msg); err != nil {
			return err
		}
	}
	return nil
}

// begin agrees with the listener on what comes.
func begin(rw p2p.MsgReadWriter, job string, count, size int) error {
	if err := p2p.Send(rw, beginMsg, request{job, uint64(count), uint64(size), 0}); err != nil {
		return err
	}
	return expect(rw, readyMsg)
}

func expect(rw p2p.MsgReader, code uint64) error {
	msg, err := rw.ReadMsg()
	if err != nil {
		return err
	}
	if msg.Code != code {
		return fmt.Errorf("got message code %d instead of %d", msg.Code, code)
	}
	return msg.Discard()
}

// send sends one way, until the listener says that all has come.
func send(rw p2p.MsgReadWriter, count, size int) (answer, error) {
	texts := payloads(size)
	if err := begin(rw, "send", count, size); err != nil {
		return nil, err
	}
	start := time.Now()
	for i := range count {
		if err := write(rw, dataMsg, texts[i%len(texts)]); err != nil {
			return nil, err
		}
	}
	if err := expect(rw, doneMsg); err != nil {
		return nil, err
	}
	return answer{"seconds": time.Since(start).Seconds()}, nil
}

// pingPong sends messages to and fro.
func pingPong(rw p2p.MsgReadWriter, count, size int) (answer, error) {
	texts := payloads(size)
	data := make([]byte, size)
	if err := begin(rw, "echo", count, size); err != nil {
		return nil, err
	}
	times := make([]float64, count)
	sum := 0.0
	for i := range count {
		text := texts[i%len(texts)]
		start := time.Now()
		if err := write(rw, dataMsg, text); err != nil {
			return nil, err
		}
		msg, err := rw.ReadMsg()
		if err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(msg.Payload, data); err != nil {
			return nil, err
		}
		times[i] = time.Since(start).Seconds()
		sum += times[i]
		if !bytes.Equal(data, text) {
			return nil, fmt.Errorf("the echo of message %d differs", i)
		}
	}
	if err := expect(rw, doneMsg); err != nil {
		return nil, err
	}
	slices.Sort(times)
	return answer{"seconds": sum, "p50_s": times[count/2], "p99_s": times[count*99/100]}, nil
}
