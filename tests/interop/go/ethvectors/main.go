// Command ethvectors prints messages of eth and snap as go-ethereum encodes them: a JSON object of
// name and hex, for tests/testdata/eth_messages.json. The values are those of tests/eth/vectors.py.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"math/big"
	"os"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/forkid"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto/kzg4844"
	"github.com/ethereum/go-ethereum/eth/protocols/eth"
	"github.com/ethereum/go-ethereum/eth/protocols/snap"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/holiman/uint256"
)

// hash returns 32 bytes of one value.
func hash(b byte) (h common.Hash) {
	copy(h[:], bytes.Repeat([]byte{b}, 32))
	return h
}

func address(b byte) (a common.Address) {
	copy(a[:], bytes.Repeat([]byte{b}, 20))
	return a
}

func raw(v any) rlp.RawValue {
	data, err := rlp.EncodeToBytes(v)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func list[T any](items ...T) rlp.RawList[T] {
	l, err := rlp.EncodeToRawList(items)
	if err != nil {
		log.Fatal(err)
	}
	return l
}

func pointer[T any](v T) *T { return &v }

// header returns one with the fields of a fork, 0 for Frontier to 5 for Amsterdam.
func header(fork int) *types.Header {
	h := &types.Header{
		ParentHash: hash(1), UncleHash: hash(2), Coinbase: address(3), Root: hash(4), TxHash: hash(5),
		ReceiptHash: hash(6), Bloom: types.BytesToBloom(bytes.Repeat([]byte{7}, 256)),
		Difficulty: big.NewInt(1 << 40), Number: big.NewInt(1000), GasLimit: 30_000_000,
		GasUsed: 21_000, Time: 1_700_000_000, Extra: []byte("extra"), MixDigest: hash(8),
		Nonce: types.EncodeNonce(9),
	}
	if fork >= 1 {
		h.BaseFee = big.NewInt(7)
	}
	if fork >= 2 {
		h.WithdrawalsHash = pointer(hash(10))
	}
	if fork >= 3 {
		h.BlobGasUsed, h.ExcessBlobGas = pointer(uint64(0)), pointer(uint64(131072))
		h.ParentBeaconRoot = pointer(hash(11))
	}
	if fork >= 4 {
		h.RequestsHash = pointer(hash(12))
	}
	if fork >= 5 {
		h.BlockAccessListHash, h.SlotNumber = pointer(hash(13)), pointer(uint64(14))
	}
	return h
}

func legacy() *types.Transaction {
	return types.NewTx(&types.LegacyTx{
		Nonce: 1, GasPrice: big.NewInt(2), Gas: 21000, To: pointer(address(3)), Value: big.NewInt(4),
		Data: []byte{5}, V: big.NewInt(27), R: big.NewInt(6), S: big.NewInt(7),
	})
}

func creation() *types.Transaction {
	return types.NewTx(&types.LegacyTx{
		GasPrice: new(big.Int), Value: new(big.Int), Data: []byte{1, 2, 3},
		V: big.NewInt(28), R: big.NewInt(6), S: big.NewInt(7),
	})
}

func typed() *types.Transaction {
	return types.NewTx(&types.DynamicFeeTx{
		ChainID: big.NewInt(1), Nonce: 1, GasTipCap: big.NewInt(2), GasFeeCap: big.NewInt(3),
		Gas: 21000, To: pointer(address(4)), Value: big.NewInt(5), Data: []byte{6},
		V: big.NewInt(1), R: big.NewInt(7), S: big.NewInt(8),
	})
}

func receipts() []*types.Receipt {
	logs := []*types.Log{
		{Address: address(1), Topics: []common.Hash{hash(2), hash(3)}, Data: []byte("data")},
		{Address: address(4)},
	}
	all := []*types.Receipt{
		{Type: types.LegacyTxType, Status: 1, CumulativeGasUsed: 21000, Logs: logs},
		{Type: types.DynamicFeeTxType, Status: 0, CumulativeGasUsed: 42000},
		{Type: types.LegacyTxType, PostState: hash(5).Bytes(), CumulativeGasUsed: 63000},
	}
	for _, r := range all {
		r.Bloom = types.CreateBloom(r)
	}
	return all
}

// receiptEncodings returns receipts as core/types derives the root of a block from them.
func receiptEncodings() map[string]string {
	out := map[string]string{}
	var buf bytes.Buffer
	all := types.Receipts(receipts())
	for i := range all {
		buf.Reset()
		all.EncodeIndex(i, &buf)
		out["receipt "+string(rune('0'+i))] = hexutil.Encode(buf.Bytes())[2:]
	}
	return out
}

// items are byte strings of many lengths.
type items int

func (n items) Len() int { return int(n) }

func (n items) EncodeIndex(i int, w *bytes.Buffer) {
	w.Write(bytes.Repeat([]byte{byte(i)}, 1+i%70))
}

func roots() map[int]string {
	out := map[int]string{}
	for _, n := range []int{0, 1, 2, 3, 16, 17, 127, 128, 129, 255, 256, 257, 300, 1000} {
		out[n] = types.DeriveSha(items(n), trie.NewStackTrie(nil)).Hex()[2:]
	}
	return out
}

func accessList() rlp.RawValue {
	return raw([]any{
		[]any{
			address(1),
			[]any{[]any{big.NewInt(2), []any{[]any{uint32(1), uint256.NewInt(3)}, []any{uint32(2), uint256.NewInt(0)}}}},
			[]any{big.NewInt(4)},
			[]any{[]any{uint32(1), uint256.NewInt(5)}},
			[]any{[]any{uint32(1), uint64(6)}},
			[]any{[]any{uint32(1), []byte{7}}},
		},
	})
}

func messages() map[string]any {
	hashes := []common.Hash{hash(1), hash(2)}
	body := eth.BlockBody{
		Transactions: list(legacy(), creation(), typed()),
		Uncles:       list(header(0)),
	}
	later := body
	later.Uncles = list[*types.Header]()
	later.Withdrawals = pointer(list(&types.Withdrawal{Index: 1, Validator: 2, Address: address(3), Amount: 4}))
	block := types.NewBlockWithHeader(header(0)).WithBody(types.Body{
		Transactions: []*types.Transaction{legacy()}, Uncles: []*types.Header{header(0)},
	})
	var cell kzg4844.Cell
	copy(cell[:], bytes.Repeat([]byte{1}, len(cell)))
	mask := types.NewCustodyBitmap([]uint64{0, 9, 127})
	account := types.StateAccount{Nonce: 1, Balance: uint256.NewInt(2), Root: types.EmptyRootHash, CodeHash: types.EmptyCodeHash.Bytes()}
	contract := types.StateAccount{Nonce: 1, Balance: uint256.NewInt(0), Root: hash(3), CodeHash: hash(4).Bytes()}
	slot := snap.StorageData{Hash: hash(1), Body: []byte{2}}
	proof := [][]byte{{1, 2, 3}, {}}
	receiptList := eth.NewReceiptList(receipts())
	return map[string]any{
		"eth69 Status": &eth.StatusPacket{
			ProtocolVersion: 69, NetworkID: 1, Genesis: hash(1),
			ForkID:        forkid.ID{Hash: [4]byte{2, 3, 4, 5}, Next: 1_700_000_000},
			EarliestBlock: 15_537_394, LatestBlock: 20_000_000, LatestBlockHash: hash(6),
		},
		"eth69 NewBlockHashes":         []any{[]any{hash(1), uint64(2)}, []any{hash(3), uint64(4)}},
		"eth69 Transactions":           &eth.TransactionsPacket{RawList: list(legacy(), typed())},
		"eth69 GetBlockHeaders number": &eth.GetBlockHeadersPacket{RequestId: 1, GetBlockHeadersRequest: &eth.GetBlockHeadersRequest{Origin: eth.HashOrNumber{Number: 1 << 33}, Amount: 2, Skip: 3, Reverse: true}},
		"eth69 GetBlockHeaders hash":   &eth.GetBlockHeadersPacket{RequestId: 1<<64 - 1, GetBlockHeadersRequest: &eth.GetBlockHeadersRequest{Origin: eth.HashOrNumber{Hash: hash(1)}, Amount: 1}},
		"eth69 BlockHeaders": &eth.BlockHeadersPacket{RequestId: 1, List: list(
			header(0), header(1), header(2), header(3), header(4), header(5))},
		"eth69 GetBlockBodies": &eth.GetBlockBodiesPacket{RequestId: 1, GetBlockBodiesRequest: hashes},
		"eth69 BlockBodies":    &eth.BlockBodiesPacket{RequestId: 1, List: list(body, later)},
		"eth69 NewBlock":       []any{block, big.NewInt(1 << 50)},
		"eth69 NewPooledTransactionHashes68": &eth.NewPooledTransactionHashesPacket71{
			Types: []byte{0, 2}, Sizes: []uint32{100, 200}, Hashes: hashes},
		"eth69 GetPooledTransactions": &eth.GetPooledTransactionsPacket{RequestId: 1, GetPooledTransactionsRequest: hashes},
		"eth69 PooledTransactions":    &eth.PooledTransactionsPacket{RequestId: 1, List: list(legacy(), typed())},
		"eth69 GetReceipts69":         &eth.GetReceiptsPacket69{RequestId: 1, GetReceiptsRequest: hashes},
		"eth69 Receipts69":            &eth.ReceiptsPacket69{RequestId: 1, List: list(receiptList, eth.NewReceiptList(nil))},
		"eth69 BlockRangeUpdate":      &eth.BlockRangeUpdatePacket{EarliestBlock: 0, LatestBlock: 5, LatestBlockHash: hash(6)},
		"eth70 GetReceipts70":         &eth.GetReceiptsPacket70{RequestId: 1, FirstBlockReceiptIndex: 300, GetReceiptsRequest: hashes},
		"eth70 Receipts70":            &eth.ReceiptsPacket70{RequestId: 1, LastBlockIncomplete: true, List: list(receiptList)},
		"eth71 GetBlockAccessLists":   &eth.GetBlockAccessListsPacket{RequestId: 1, GetBlockAccessListsRequest: hashes},
		"eth71 BlockAccessLists": &eth.BlockAccessListPacket{RequestId: 1, List: list(
			accessList(), rlp.RawValue(rlp.EmptyString), rlp.RawValue(rlp.EmptyList))},
		"eth72 NewPooledTransactionHashes72": &eth.NewPooledTransactionHashesPacket72{
			Types: []byte{0, 3}, Sizes: []uint32{100, 200}, Hashes: hashes, Mask: mask},
		"eth72 GetCells": &eth.GetCellsRequestPacket{RequestId: 1, Hashes: hashes, Mask: mask},
		"eth72 Cells": &eth.CellsPacket{RequestId: 1, Hashes: hashes[:1],
			Cells: list(list(cell, cell, cell)), Mask: mask},
		"snap1 GetAccountRange": &snap.GetAccountRangePacket{ID: 1, Root: hash(1), Origin: hash(2), Limit: hash(3), Bytes: 4000},
		"snap1 AccountRange": &snap.AccountRangePacket{ID: 1, Accounts: []*snap.AccountData{
			{Hash: hash(1), Body: types.SlimAccountRLP(account)}, {Hash: hash(2), Body: types.SlimAccountRLP(contract)}}, Proof: proof},
		"snap1 GetStorageRanges": &snap.GetStorageRangesPacket{ID: 1, Root: hash(1), Accounts: hashes, Origin: nil, Limit: hash(3).Bytes(), Bytes: 4000},
		"snap1 StorageRanges":    &snap.StorageRangesPacket{ID: 1, Slots: [][]*snap.StorageData{{&slot, &slot}, {}}, Proof: proof},
		"snap1 GetByteCodes":     &snap.GetByteCodesPacket{ID: 1, Hashes: hashes, Bytes: 4000},
		"snap1 ByteCodes":        &snap.ByteCodesPacket{ID: 1, Codes: [][]byte{{1}, {0x60, 0x00}}},
		"snap1 GetTrieNodes": &snap.GetTrieNodesPacket{ID: 1, Root: hash(1), Paths: list(
			snap.TrieNodePathSet{{1}}, snap.TrieNodePathSet{hash(2).Bytes(), {3}, {4, 5}}), Bytes: 4000},
		"snap1 TrieNodes":      &snap.TrieNodesPacket{ID: 1, Nodes: [][]byte{{1, 2}}},
		"snap2 GetAccessLists": &snap.GetAccessListsPacket{ID: 1, Hashes: hashes, Bytes: 4000},
		"snap2 AccessLists":    &snap.AccessListsPacket{ID: 1, AccessLists: list(accessList(), rlp.RawValue(rlp.EmptyString))},
	}
}

func main() {
	encoded, hashes := map[string]string{}, map[string]string{}
	for name, message := range messages() {
		encoded[name] = hexutil.Encode(raw(message))[2:]
	}
	for fork := range 6 {
		hashes["header "+string(rune('0'+fork))] = header(fork).Hash().Hex()[2:]
	}
	for name, tx := range map[string]*types.Transaction{"legacy": legacy(), "creation": creation(), "typed": typed()} {
		hashes[name] = tx.Hash().Hex()[2:]
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	if err := out.Encode(map[string]any{
		"messages": encoded, "hashes": hashes, "receipts": receiptEncodings(), "roots": roots(),
	}); err != nil {
		log.Fatal(err)
	}
}
