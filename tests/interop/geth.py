"""A geth with a chain of its own, as a child process: go-ethereum's client, as users meet it.

``tests/interop/build.sh go`` builds it and brings the chain, that of go-ethereum's tests of eth:
600 blocks with transactions of every type, through all forks up to Amsterdam. The program has a
part of the blocks at first, and gets others by :meth:`Geth.import_blocks`. Its RPC, over a
socket in its folder, tells the truth that is compared with what it says to peers. It listens on a
free port of 127.0.0.1, without discovery, and ends with :meth:`Geth.stop`.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import p2p
from p2p.codec import encode_list, raw_items
from p2p.eth import Chain
from p2p.networks import Network
from tests.kit.waiting import eventually

from .program import BUILD, DEADLINE_S, QUIT_S

PROGRAM = BUILD / "geth"
CHAIN = BUILD / "chain"
#: The number of the last block of the chain.
LAST = 600
_MAX_BLOCKS = 1000

_CONFIG = """\
[Node.P2P]
ListenAddr = "127.0.0.1:0"
NoDiscovery = true
"""


def genesis() -> dict[str, Any]:
    """The genesis block, as geth reads it."""
    loaded: dict[str, Any] = json.loads((CHAIN / "genesis.json").read_text(encoding="utf-8"))
    return loaded


def blocks() -> list[bytes]:
    """The encoded blocks from the first on."""
    return raw_items(encode_list([(CHAIN / "chain.rlp").read_bytes()]), _MAX_BLOCKS)


def keys() -> list[p2p.PrivateKey]:
    """The keys of accounts with a balance."""
    accounts = json.loads((CHAIN / "accounts.json").read_text(encoding="utf-8"))
    return [
        p2p.PrivateKey.from_bytes(bytes.fromhex(account["key"].removeprefix("0x")))
        for account in accounts.values()
    ]


class Geth:
    """One running geth, in an empty folder; any thread may call its methods, one at a time."""

    def __init__(self, folder: Path, height: int = LAST, *options: str) -> None:
        """Start one whose last block is ``height``."""
        # fixed after __init__
        self._folder = folder
        self._ipc = folder / "geth.ipc"
        self._options = options
        self._blocks = blocks()
        self.chain_id: int = genesis()["config"]["chainId"]

        (folder / "config.toml").write_text(_CONFIG, encoding="utf-8")
        self._run("init", str(CHAIN / "genesis.json"))
        self._run("import", str(self._file_of(self._blocks[:height])))
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [*self._command(), *options], stdout=self._log, stderr=subprocess.STDOUT
        )
        try:
            eventually(self._answers, "RPC of geth")
        except BaseException:
            self.stop()
            raise
        self.node = p2p.parse_node(self.rpc("admin_nodeInfo")["enode"].replace("?discport=0", ""))
        self.network = self._network()

    def _command(self) -> list[str]:
        return [
            str(PROGRAM),
            *("--datadir", str(self._folder / "data"), "--ipcpath", str(self._ipc)),
            *("--config", str(self._folder / "config.toml"), "--authrpc.port", "0"),
            *("--networkid", str(self.chain_id), "--syncmode", "full", "--verbosity", "4"),
            *("--maxpeers", "10", "--nat", "none", "--cache", "64"),
        ]

    def _run(self, *arguments: str) -> None:
        """Run a command of geth's that ends by itself."""
        done = subprocess.run(
            [*self._command(), *arguments], capture_output=True, text=True, timeout=DEADLINE_S
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()[-2000:]
        try:
            return bool(self.rpc("admin_nodeInfo")["ports"]["listener"])
        except OSError:  # not yet there
            return False

    def _network(self) -> Network:
        """The network that geth is in, as it tells."""
        config = genesis()["config"]
        times = [value for name, value in config.items() if name.endswith("Time")]
        first = self.rpc("eth_getBlockByNumber", "0x0", False)
        chain = Chain(bytes.fromhex(first["hash"][2:]), fork_times=times)
        return Network("test chain", self.chain_id, chain)

    def rpc(self, method: str, *arguments: object) -> Any:
        """Call a method of geth's and return its result; raises RPCError."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE_S)
            connection.connect(str(self._ipc))
            connection.sendall(json.dumps(request).encode())
            response = json.loads(connection.makefile("rb").readline())
        if "error" in response:
            raise RPCError(response["error"]["message"])
        return response["result"]

    def block(self, number: int) -> dict[str, Any]:
        """A block as geth tells it by RPC."""
        found: dict[str, Any] = self.rpc("eth_getBlockByNumber", hex(number), False)
        return found

    def import_blocks(self, height: int) -> None:
        """Give it the blocks up to ``height``."""
        head = int(self.rpc("eth_blockNumber"), 16)
        assert self.rpc("admin_importChain", str(self._file_of(self._blocks[head:height])))

    def _file_of(self, part: Sequence[bytes]) -> Path:
        path = self._folder / "blocks.rlp"
        path.write_bytes(b"".join(part))
        return path

    def dial(self, node: p2p.Node) -> None:
        """Let it connect to a node, and again when the connection ends."""
        assert self.rpc("admin_addPeer", node.url)

    def stop_dialing(self, node: p2p.Node) -> None:
        assert self.rpc("admin_removePeer", node.url)

    def log(self) -> str:
        """Its log."""
        return (self._folder / "log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End the process; safe to call twice."""
        self._process.terminate()
        try:
            self._process.wait(QUIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class RPCError(Exception):
    """geth refuses a call; the text is its own."""
