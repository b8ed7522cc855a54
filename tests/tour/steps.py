"""The steps of the tour, as data: the commands in the order of the documentation.

A command is a line for a shell. ``output`` and ``ready`` are regular expressions of what it prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Chapter:
    """A heading."""

    title: str


@dataclass(frozen=True)
class Run:
    """A command that ends by itself.

    Its output becomes the shell variable ``variable``. With ``repeat`` it is run again until its
    end is as expected: what it asks for needs some seconds. ``needs`` names what it needs of the
    machine (`machine.NEEDS`).
    """

    command: str
    output: str = ""
    exit_codes: tuple[int, ...] = (0,)
    variable: str = ""
    repeat: bool = False
    needs: str = ""


@dataclass(frozen=True)
class Start:
    """A command that runs until its :class:`End`.

    It is ready when it has printed ``ready``, whose group becomes the shell variable ``name``, and
    when ``file`` is there. With ``on_screen`` it has a terminal.
    """

    name: str
    command: str
    ready: str = ""
    file: str = ""
    on_screen: bool = False
    needs: str = ""


@dataclass(frozen=True)
class End:
    """Ctrl-C for a command that was started.

    It waits for the output ``until`` first; afterwards the output has ``output``.
    """

    name: str
    until: str = ""
    output: str = ""
    needs: str = ""


Step: TypeAlias = "Chapter | Run | Start | End"

_RUNS = r"started as (enode://\S+)"
_LISTENS = r"^(enr:\S+)"
_ID = r"^[0-9a-f]{64}$"
_ENR = r"^enr:[\w-]+$"


def _disc(version: str, find_options: str) -> tuple[Step, ...]:
    disc = f"p2p disc{version}"
    return (
        Run(f"{disc} ping $ANN", r"^127\.0\.0\.1:\d+ answers in .*, record \d+$"),
        # A node names those only that have answered it again after some seconds.
        Run(f"{disc} find-node $ANN{find_options}", r"^ *\d+  en(r|ode):", repeat=True),
        Run(f"{disc} resolve $BEN --bootnodes $ANN", _ENR),
        Run(f"{disc} request-enr $BEN", _ENR),
        Run(f"{disc} lookup --bootnodes $ANN", r"^nearest nodes to [0-9a-f]{64}:\n *\d+  en"),
        Run(
            f"{disc} lookup --explain --svg lookup.svg --bootnodes $ANN $BEN",
            r"^ *\d+ +2 .* nodes?, \d+ new.*; named by",
        ),
        Start("LISTENER", f"{disc} listen --addr 127.0.0.1:0 --bootnodes $ANN", _LISTENS),
        Run(f"{disc} request-enr $LISTENER", _ENR),
        End("LISTENER", until=r"^added +en"),
        Run(f"{disc} crawl {version}.json --bootnodes $ANN", r"^answered now +[2-9]"),
    )


TOUR: tuple[Step, ...] = (
    Run("p2p --version", r"^p2p \d+\.\d+"),
    Run("python -m p2p --help", r"(?s)Commands:\n.*Exit codes:"),
    Chapter("Keys and node records"),
    Run("p2p key new ann.key", _ID),
    Run("p2p key new ann.key", r"^p2p: ann.key exists; --force replaces it", exit_codes=(5,)),
    Run("p2p key show ann.key", r"^public key: [0-9a-f]{128}$"),
    Run("p2p key show ann.key --json", r'^\{"id": "[0-9a-f]{64}", "public_key": '),
    Run(
        "p2p key to-enode ann.key --ip 203.0.113.7", r"^enode://[0-9a-f]{128}@203\.0\.113\.7:30303$"
    ),
    Run("p2p key to-enr ann.key --ip 203.0.113.7", _ENR, variable="RECORD"),
    Run("p2p key new - | p2p key to-enr - | p2p enr show -", r'^entries:\n  id +"v4"$'),
    Run("p2p enr show $RECORD", r"^  ip +203\.0\.113\.7$"),
    Run("p2p enr new ann.key --seq 7 --entry color=blue | p2p enr show -", r'^  color +"blue"'),
    Run("p2p enr verify $RECORD", r"^valid: [0-9a-f]{64}$"),
    Run("p2p enr verify enr:AAAA", r"^p2p: .", exit_codes=(1,)),
    Chapter("A network of two nodes"),
    Start(
        "ANN",
        "p2p node --log --name ann --nodekey ann.key --addr 127.0.0.1:0 --keylog keys.log",
        _RUNS,
    ),
    Start("BEN", "p2p node --log --name ben --addr 127.0.0.1:0 --bootnodes $ANN", _RUNS),
    Start(
        "VIEW",
        "p2p node --name dan --addr 127.0.0.1:0 --nodiscover --connect $ANN",
        r"(?s)^dan, up .*^[0-9a-f]{16}  ann ",
        on_screen=True,
    ),
    End("VIEW"),
    Run("p2p ping $ANN", r"^hello .* ann \(p2p/5\)\n +capabilities: echo/1$"),
    Run("p2p ping $BEN --only rlpx --json", r'^\{"step": "hello", "ok": true.*"name": "ben"'),
    Run("p2p ping enode://$(printf %0128d 1)@127.0.0.1:1", r"^p2p: .", exit_codes=(2,)),
    Chapter("Discovery v4"),
    *_disc("v4", ""),
    Chapter("Discovery v5"),
    *_disc("v5", " --distance 256 --distance 255 --distance 254 --distance 253"),
    Chapter("Node lists in DNS"),
    Run("mkdir nodes.example.org && cp v5.json nodes.example.org/nodes.json"),
    Run(
        "p2p dns sign nodes.example.org ann.key",
        r"^enrtree://\w+@nodes\.example\.org$",
        variable="LIST",
    ),
    Run("p2p dns build nodes.example.org", r'^nodes\.example\.org\. 1800 IN TXT "enrtree-root:v1 '),
    Run("p2p dns build nodes.example.org --format json > records.json"),
    Start("SERVER", "python nameserver.py records.json", r"^(127\.0\.0\.1:\d+)$"),
    Run("p2p dns check $LIST --server $SERVER", r"^all entries are valid$"),
    Run(
        "p2p dns sync $LIST copy --server $SERVER", r"^copy: \d+ nodes?, 0 links, sequence number 1"
    ),
    End("SERVER"),
    Chapter("Sets of nodes, crawls"),
    Run("p2p nodeset info copy/nodes.json", r"^[2-9] nodes"),
    Run("p2p nodeset filter copy/nodes.json --dialable --limit 1", r'^        "record": "enr:'),
    Run(
        "p2p crawl nodes.json --bootnodes $ANN --hello --sqlite nodes.db --report report.html",
        r"^with hello +2$",
    ),
    Run("ls nodes.json nodes.db report.html lookup.svg", r"report\.html"),
    Chapter("What is wrong?"),
    # Its exit code is 1 on a machine without a way to the Internet.
    Run(
        "p2p doctor $ANN --bootnodes $ANN --addr 127.0.0.1:0 --nat none",
        r"^ok  node hello +127\.0\.0\.1:\d+ answers in .*: ann$",
        exit_codes=(0, 1),
    ),
    Chapter("Explanations"),
    Run("p2p explain handshake $ANN", r"^The RLPx handshake with [0-9a-f]+ at 127\.0\.0\.1:"),
    Run("p2p explain handshake --html handshake.html", r"^written: handshake\.html$"),
    Run("p2p explain packet - < packet.hex", r"ping"),
    Run("p2p explain message c88363617483646f67", r"(?s)cat.*dog"),
    Chapter("Captures and recordings"),
    Run("p2p capture ann.pcap --node $ANN --print", r"^tcpdump -i any .*host 127\.0\.0\.1 and"),
    Start(
        "CAPTURE",
        "p2p capture ann.pcap --node $ANN --interface lo --keylog keys.log",
        file="ann.pcap",
        needs="tcpdump",
    ),
    Run("p2p ping $ANN", r"^hello ", needs="tcpdump"),
    # A capture can be read while it grows; tcpdump writes each packet a moment late.
    Run(
        "p2p decode ann.pcap --keylog keys.log",
        r" p2p Hello  version=5 name=ann ",
        repeat=True,
        needs="tcpdump",
    ),
    End("CAPTURE", output=r"packets captured; to read them: p2p decode ann\.pcap", needs="tcpdump"),
    Start(
        "CID",
        "p2p node --log --serve chat --addr 127.0.0.1:0 --nodiscover < lines.txt",
        _RUNS,
    ),
    Run("cat chat.py", r"^def handle\(peer, rw\):$"),
    Run(
        "p2p record $CID talk.jsonl --protocol chat:CHAT --duration 3s",
        r"(?s)hello from cid.*^1 message recorded in talk\.jsonl$",
    ),
    Run("p2p replay talk.jsonl --handler chat:handle", r"^peer says: hello from cid$"),
    End("CID"),
    Chapter("Conformance"),
    Run("p2p test rlpx $ANN", r"^\d+ passed, 0 failed"),
    Run("p2p test discv4 $ANN", r"^\d+ passed, 0 failed"),
    Run("p2p test discv5 $ANN", r"^\d+ passed, 0 failed"),
    End("BEN"),
    End("ANN"),
    Chapter("Experiments"),
    Run("p2p lab list", r"^rumour +How a rumour spreads"),
    Run("p2p lab new rumour > rumour.toml"),
    Run(
        "p2p lab run rumour.toml --nodes 8 --out rumour --report rumour.html",
        r"^mean of 3 runs: 100\.0% of the nodes in ",
    ),
    Run("tail -n 1 rumour/results.jsonl", r'^\{"type": "summary", "runs": 3, '),
    Run(
        "p2p lab new tables | p2p lab run - --nodes 10",
        r"^at the end, after 120 s a node knows 9\.0",
    ),
    Chapter("Demo and shell completion"),
    Run("p2p demo", r'^dialer +reads "bar" from listener$'),
    Run("p2p completion bash", r"^_p2p_completion\(\) \{$"),
    Run('_P2P_COMPLETE=bash_complete COMP_WORDS="p2p ke" COMP_CWORD=1 p2p', r"^plain,key$"),
)

#: Files of the user, which the commands read.
FILES = {
    "lines.txt": "hello from cid\n",
    "chat.py": """\
from p2p import messages


@messages.message(0)
class Line:
    text: str


CHAT = messages.Messages("chat", 1, [Line])


def handle(peer, rw):
    for msg in rw:
        print("peer says:", CHAT.decode(msg.code, msg.payload).text)
""",
}
