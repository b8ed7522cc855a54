"""The handshake of ``eth``: a Status in each direction, before anything else.

Blocks the calling thread, a handler or a program with a read-writer; owns no state (devp2p,
caps/eth.md, "Status").
"""

from __future__ import annotations

from p2p.arguments import check_type
from p2p.errors import RemoteProtocolError
from p2p.eth.errors import NoStatus
from p2p.eth.status import Status, check_status
from p2p.eth.versions import messages_of
from p2p.forkid import Chain
from p2p.message import MsgReadWriter
from p2p.messages.readwriter import TypedReadWriter

#: Time for the remote's Status, in seconds; as in go-ethereum.
HANDSHAKE_TIMEOUT_S = 5.0


def handshake(
    rw: MsgReadWriter,
    status: Status,
    chain: Chain,
    *,
    head: tuple[int, int] | None = None,
    timeout: float = HANDSHAKE_TIMEOUT_S,
) -> Status:
    """Send our Status, and return the remote's, checked by :func:`check_status`::

        network = p2p.networks.MAINNET
        status = p2p.eth.make_status(network, 69)
        with p2p.connect(url, name="eth", version=69, length=p2p.eth.ETH69.length) as rw:
            theirs = p2p.eth.handshake(rw, status, network.chain)

    ``rw`` is the read-writer of ``eth`` in the version of ``status``. ``chain`` has the forks,
    ``head`` is the number and the time of our last block, by default of the genesis block.
    ``timeout`` is in seconds. Raises NoStatus, a StatusRejected that says why, DecodeError,
    Timeout, and PeerDisconnected: a client that rejects our Status disconnects, go-ethereum with
    SUBPROTOCOL_ERROR, and maybe before its own has come. Errors about the Status end the connection
    if they leave its ``with`` block or handler. ArgumentError for arguments of other types. Any
    thread.
    """
    check_type("status", status, Status, "a Status, such as of p2p.eth.make_status")
    check_type("chain", chain, Chain, "a Chain, such as p2p.networks.MAINNET.chain")
    eth = TypedReadWriter(rw, messages_of(status.version))
    eth.write(status)
    theirs = eth.read(timeout)
    try:
        if not isinstance(theirs, Status):
            raise NoStatus(f"the first message is {type(theirs).__name__}, not Status")
        check_status(theirs, status, chain, head)
    except RemoteProtocolError as error:
        error.connection_id, error.msg_code = rw.connection_id, eth.messages.code_of(theirs)
        raise
    return theirs
