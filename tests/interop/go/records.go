package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/enode"
	"github.com/ethereum/go-ethereum/p2p/enr"
	"github.com/ethereum/go-ethereum/rlp"
)

// parseNode reads an enode URL or a record, and tells all that is in it.
func parseNode(text string) error {
	node, err := enode.Parse(enode.ValidSchemes, text)
	if err != nil {
		return err
	}
	record := node.Record()
	entries := make(map[string]string)
	list := record.AppendElements(nil) // seq, key, value, key, value ...
	for i := 1; i < len(list); i += 2 {
		raw, err := rlp.EncodeToBytes(list[i+1])
		if err != nil {
			return err
		}
		entries[hex.EncodeToString([]byte(list[i].(string)))] = hex.EncodeToString(raw)
	}
	report(event{
		"event":    "parsed",
		"peer":     node.ID().String(),
		"seq":      record.Seq(),
		"text":     node.String(),
		"enode":    node.URLv4(),
		"hostname": node.Hostname(),
		"tcp":      endpointText(node.TCPEndpoint()),
		"udp":      endpointText(node.UDPEndpoint()),
		"quic":     endpointText(node.QUICEndpoint()),
		"entries":  entries,
	})
	return nil
}

// endpointText writes an endpoint; an IPv4 address in IPv6 form is told as what it is.
func endpointText(endpoint netip.AddrPort, ok bool) string {
	if !ok {
		return ""
	}
	return netip.AddrPortFrom(endpoint.Addr().Unmap(), endpoint.Port()).String()
}

// makeRecord signs a record of the entries, and tells its text.
func makeRecord(c command) error {
	key, err := crypto.HexToECDSA(c.Key)
	if err != nil {
		return err
	}
	var record enr.Record
	record.SetSeq(c.Seq)
	for name, value := range c.Entries {
		entry, err := parseEntry(name, value)
		if err != nil {
			return fmt.Errorf("entry %q: %w", name, err)
		}
		record.Set(entry)
	}
	if err := enode.SignV4(&record, key); err != nil {
		return err
	}
	node, err := enode.New(enode.ValidSchemes, &record)
	if err != nil {
		return err
	}
	reportNode("record", node)
	return nil
}

// parseEntry reads the value of an entry: text or number for the keys that have a type, the hex of
// its RLP encoding for all others.
func parseEntry(name string, value json.RawMessage) (enr.Entry, error) {
	switch name {
	case "ip":
		return typed(value, func(ip netip.Addr) enr.Entry { return enr.IPv4Addr(ip) })
	case "ip6":
		return typed(value, func(ip netip.Addr) enr.Entry { return enr.IPv6Addr(ip) })
	case "tcp":
		return typed(value, func(port uint16) enr.Entry { return enr.TCP(port) })
	case "tcp6":
		return typed(value, func(port uint16) enr.Entry { return enr.TCP6(port) })
	case "udp":
		return typed(value, func(port uint16) enr.Entry { return enr.UDP(port) })
	case "udp6":
		return typed(value, func(port uint16) enr.Entry { return enr.UDP6(port) })
	case "quic":
		return typed(value, func(port uint16) enr.Entry { return enr.QUIC(port) })
	case "quic6":
		return typed(value, func(port uint16) enr.Entry { return enr.QUIC6(port) })
	}
	var digits string
	if err := json.Unmarshal(value, &digits); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(digits)
	return enr.WithEntry(name, rlp.RawValue(raw)), err
}

func typed[T any](value json.RawMessage, entry func(T) enr.Entry) (enr.Entry, error) {
	var v T
	err := json.Unmarshal(value, &v)
	return entry(v), err
}
