package main

import (
	"encoding/hex"
	"net"
	"slices"

	"github.com/ethereum/go-ethereum/p2p/discover"
	"github.com/ethereum/go-ethereum/p2p/enode"
)

// executeV5 carries out the commands that concern discovery v5.
func executeV5(udp *discover.UDPv5, c command) error {
	switch c.Cmd {
	case "table":
		return reportTableOnce(udp.Nodes)
	case "lookup":
		public, err := parsePublicKey(c.Key)
		if err != nil {
			return err
		}
		reportFound(udp.Lookup(enode.PubkeyToIDV4(public)))
		return nil
	case "add_nodes":
		return addNodes(udp, c.Nodes)
	case "on_talk":
		answerTalk(udp, c.Protocol)
		return nil
	}
	node, err := enode.Parse(enode.ValidSchemes, c.Enode)
	if err != nil {
		return err
	}
	return askV5(udp, node, c)
}

// askV5 sends a request to a node.
func askV5(udp *discover.UDPv5, node *enode.Node, c command) error {
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
	case "find_node":
		found, err := udp.Findnode(node, c.Distances)
		if err != nil {
			return err
		}
		reportFound(found)
	case "talk":
		return talkV5(udp, node, c)
	}
	return nil
}

func talkV5(udp *discover.UDPv5, node *enode.Node, c command) error {
	request, err := hex.DecodeString(c.Request)
	if err != nil {
		return err
	}
	response, err := udp.TalkRequest(node, c.Protocol, request)
	if err != nil {
		return err
	}
	report(event{"event": "talked", "peer": node.ID().String(), "response": hex.EncodeToString(response)})
	return nil
}

// answerTalk reports the requests of a protocol, and answers each with its bytes reversed.
func answerTalk(udp *discover.UDPv5, protocol string) {
	udp.RegisterTalkHandler(protocol, func(node *enode.Node, _ *net.UDPAddr, request []byte) []byte {
		report(event{"event": "talk_request", "peer": node.ID().String(), "protocol": protocol,
			"request": hex.EncodeToString(request)})
		response := slices.Clone(request)
		slices.Reverse(response)
		return response
	})
	report(event{"event": "answering", "protocol": protocol})
}

// addNodes puts nodes into the table as if they had answered.
func addNodes(udp *discover.UDPv5, texts []string) error {
	for _, text := range texts {
		node, err := enode.Parse(enode.ValidSchemes, text)
		if err != nil {
			return err
		}
		udp.AddKnownNode(node)
	}
	return reportTableOnce(udp.Nodes)
}
