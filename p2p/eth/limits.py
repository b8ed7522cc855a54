"""The limits of ``eth`` and ``snap``, from their specifications and from go-ethereum.

A message beyond a hard limit is an error on both sides. A client that asks for more than a soft
limit gets less; the calls of `p2p.eth.client` refuse such requests. Constants only (devp2p,
caps/eth.md and caps/snap.md; go-ethereum, eth/protocols).
"""

from __future__ import annotations

#: Hard limit on the payload of a message, in bytes: "typically 10 MiB" (caps/eth.md).
MAX_MESSAGE_SIZE = 10 * 2**20

#: Soft limits on the items of a request; go-ethereum answers no more of each.
MAX_HEADERS = 1024
MAX_BODIES = 1024
MAX_RECEIPTS = 1024
MAX_ACCESS_LISTS = 1024

#: Least gas of a transaction, which bounds the receipts of a block by its gas. It is 21,000 today
#: (Yellow Paper, section 6.2); other networks and later forks may take less.
MIN_TRANSACTION_GAS = 1000

#: Soft limit on the hashes of GetPooledTransactions.
MAX_POOLED_TRANSACTIONS = 256

#: Hard limit on the transactions of a Transactions message, as in go-ethereum.
MAX_TRANSACTIONS = 5000
