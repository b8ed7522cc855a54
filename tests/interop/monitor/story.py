"""Made-up messages of a monitor by the contract of the live page (docs/design/monitor.md), for
pictures and for what no real server does on demand: hostile names, lost updates, a lab. Pure: the
same seed gives the same messages.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

#: Distance of the moments of two updates, in seconds.
TICK_S = 0.5
START_T = 1_764_537_000.0
CLIENTS = (
    "Geth/v1.16.7-stable/linux-amd64/go1.25.4",
    "Nethermind/v1.35.2/linux-x64/dotnet9.0.10",
    "reth/v1.9.3/x86_64-unknown-linux-gnu",
    "erigon/v3.2.2/linux-amd64/go1.25.3",
    "besu/v25.11.0/linux-x86_64/openjdk-java-21",
    "p2p/1.2.0/python3.11",
    "ethereumjs/v10.0.0",
)
KINDS = (
    ("eth/69", 2, "Transactions", 12.0),
    ("eth/69", 8, "NewPooledTransactionHashes", 30.0),
    ("eth/69", 9, "GetPooledTransactions", 7.0),
    ("eth/69", 10, "PooledTransactions", 6.5),
    ("eth/69", 3, "GetBlockHeaders", 1.2),
    ("eth/69", 4, "BlockHeaders", 1.1),
    ("eth/69", 17, "BlockRangeUpdate", 0.2),
    ("p2p/5", 2, "Ping", 0.6),
    ("p2p/5", 3, "Pong", 0.6),
)
PACKETS = (("ping", 1.5), ("pong", 1.4), ("findnode", 0.8), ("neighbors", 1.2))
FAILURES = (
    ("TCP connect", "ConnectionRefusedError", "Connection refused"),
    ("TCP connect", "TimeoutError", "no answer within 15 s"),
    ("RLPx handshake", "HandshakeError", "the remote closed the connection after auth"),
    ("Hello", "Disconnected", "too many peers"),
)
STALLS = ("app.py:118, in store", "sync.py:42, in fetch_bodies")


class Story:
    """The messages of one made-up server: :meth:`hello`, :meth:`snapshot`, then :meth:`updates`."""

    def __init__(self, *, seed: int = 1, peers: int = 23, nodes: int = 150) -> None:
        self._random = random.Random(seed)
        self._n = 0
        self._samples = 0
        self.t = START_T
        self.state: Json = {name: {} for name in COLLECTIONS}
        self._usual = {(cap, name): per_s for cap, _code, name, per_s in KINDS}
        self._usual |= {("discv4", name): per_s for name, per_s in PACKETS}
        self._self()
        self._counts()
        for number in range(peers):
            self.state["peers"][str(number)] = self._peer(number)
        for number in range(nodes):
            self._node("v4" if number % 3 else "v5")

    def hello(self, kind: str = "server") -> Json:
        protocols = [
            {"cap": "eth/69", "known": True, "codes": {}},
            {"cap": "p2p/5", "known": True, "codes": {}},
        ]
        return {
            "type": "hello",
            "contract": 1,
            "kind": kind,
            "title": "p2p/1.2.0",
            "version": "1.2.0",
            "python": "3.11.9",
            "t": self.t,
            "tick_s": TICK_S,
            "history_s": 300,
            "protocols": protocols,
            "buckets": {"first": 240, "last": 256},
            "samples": {"per_s": 20, "most_per_s": 100},
        }

    def snapshot(self, missed: int = 0) -> Json:
        copy = {name: dict(entries) for name, entries in self.state.items()}
        return {"type": "snapshot", "n": self._n, "t": self.t, "missed": missed, "state": copy}

    def live(self) -> Json:
        return {"type": "live", "n": self._n, "t": self.t}

    def updates(self, count: int) -> Iterator[Json]:
        for _ in range(count):
            yield self.update()

    def update(self) -> Json:
        """What happened in the next tick."""
        self.t += TICK_S
        self._traffic()
        changes: Json = {"peers": dict(self.state["peers"]), "counts": dict(self.state["counts"])}
        if self._n % 30 == 3:
            changes |= self._lookup()
        if self._n % 11 == 5:
            changes["dials"] = self._dial()
        if self._n % 9 == 4:
            changes["nodes"] = self._answer()
        if self._n == 420:
            changes["stalls"] = self._stall()
        return self.happened(
            set=changes,
            point=self._point(),
            messages=list(self._messages()),
            unseen=self._random.randrange(20, 60),
        )

    def happened(self, **parts: Any) -> Json:
        """An update with these parts."""
        self._n += 1
        for name, entries in parts.get("set", {}).items():
            for key, fields in entries.items():
                self.state[name][key] = {**self.state[name].get(key, {}), **fields}
        for name, keys in parts.get("remove", {}).items():
            for key in keys:
                del self.state[name][key]
        return {"type": "update", "n": self._n, "t": self.t, **parts}

    def _id(self) -> str:
        return self._random.randbytes(32).hex()

    def _addr(self) -> str:
        return (
            f"192.0.2.{self._random.randrange(1, 255)}:{self._random.choice((30303, 30304, 9000))}"
        )

    def _self(self) -> None:
        own = self._id()
        self.state["node"]["self"] = {
            "id": own,
            "short": own[:16],
            "name": "p2p/1.2.0",
            "enode": f"enode://{own}{own}@127.0.0.1:30303",
            "enr": "enr:-made-up",
            "listen": "127.0.0.1:30303",
            "started_t": self.t - 7200,
            "max_peers": 50,
        }

    def _counts(self) -> None:
        for cap, code, name, per_s in KINDS:
            for direction in ("in", "out"):
                self.state["counts"][f"{cap}/{direction}/{code}"] = _count(
                    cap, direction, code, name, per_s
                )
        for name, per_s in PACKETS:
            for direction in ("in", "out"):
                self.state["counts"][f"discv4/{direction}/{name}"] = _count(
                    "discv4", direction, None, name, per_s
                )

    def _peer(self, number: int) -> Json:
        distance = 256
        while distance > 249 and self._random.random() < 0.5:
            distance -= 1
        node_id = self._id()
        caps = ["eth/68", "eth/69", "snap/1"][: self._random.randrange(2, 4)]
        return {
            "id": node_id,
            "short": node_id[:16],
            "name": CLIENTS[number % len(CLIENTS)],
            "addr": self._addr(),
            "enode": f"enode://{node_id}{node_id}@192.0.2.1:30303",
            "inbound": number % 3 == 0,
            "static": number == 5,
            "trusted": False,
            "caps": caps,
            "shared": [caps[1]],
            "distance": distance,
            "since_t": self.t - self._random.expovariate(1 / 3000),
            "bytes_in": 0,
            "bytes_out": 0,
            "messages_in": 0,
            "messages_out": 0,
            "bytes_in_per_s": 0.0,
            "bytes_out_per_s": 0.0,
            "messages_in_per_s": 0.0,
            "messages_out_per_s": 0.0,
        }

    def _node(self, protocol: str) -> None:
        distance = 256
        while distance > 240 and self._random.random() < 0.5:
            distance -= 1
        within = [
            one
            for one in self.state["nodes"].values()
            if (one["protocol"], one["bucket"]) == (protocol, distance)
        ]
        replacement = sum(not one["replacement"] for one in within) >= 16
        node_id = self._id()
        live = not replacement and self._random.random() < 0.85
        self.state["nodes"][f"{protocol}/{node_id}"] = {
            "protocol": protocol,
            "id": node_id,
            "short": node_id[:16],
            "addr": self._addr(),
            "bucket": distance,
            "replacement": replacement,
            "live": live,
            "checks": self._random.randrange(1, 30) if live else 0,
            "added_t": self.t - self._random.expovariate(1 / 4000),
            "answered_t": self.t - self._random.expovariate(1 / 900) if live else None,
        }

    def _traffic(self) -> None:
        wave = 1 + 0.5 * ((self._n // 12) % 3 == 0)
        for number, peer in self.state["peers"].items():
            busy = 2.0 ** (int(number) % 9) * wave * self._random.uniform(0.6, 1.6)
            rates = {
                "bytes_in_per_s": 220 * busy,
                "bytes_out_per_s": 90 * busy * (1 + int(number) % 3),
            }
            rates |= {"messages_in_per_s": 0.4 * busy, "messages_out_per_s": 0.3 * busy}
            peer |= rates | {
                name.removesuffix("_per_s"): peer[name.removesuffix("_per_s")]
                + int(value * TICK_S)
                + 1
                for name, value in rates.items()
            }
        for count in self.state["counts"].values():
            count["per_s"] = round(
                self._usual[count["cap"], count["name"]] * self._random.uniform(0.7, 1.3), 2
            )
            count["messages"] += int(count["per_s"] * TICK_S) + 1

    def _point(self) -> Json:
        peers = self.state["peers"].values()
        names = ("bytes_in_per_s", "bytes_out_per_s", "messages_in_per_s", "messages_out_per_s")
        sums = {name: sum(peer[name] for peer in peers) for name in names}
        return {
            **sums,
            "packets_in_per_s": 5.0,
            "packets_out_per_s": 5.0,
            "cpu": min(0.9, 0.05 + sums["bytes_in_per_s"] / 3e6) * self._random.uniform(0.85, 1.1),
            "threads": 9 + len(peers) + self._n % 7 // 5,
            "peers": len(peers),
            "nodes": len(self.state["nodes"]),
        }

    def _messages(self) -> Iterator[Json]:
        for place in range(4):
            cap, code, name, _rate = self._random.choices(KINDS, [kind[3] for kind in KINDS])[0]
            key, peer = self._random.choice(list(self.state["peers"].items()))
            self._samples += 1
            yield {
                "m": self._samples,
                "t": self.t - TICK_S * (3 - place) / 4 - 0.01,
                "peer": key,
                "id": peer["id"],
                "short": peer["short"],
                "direction": self._random.choice(("in", "in", "out")),
                "cap": cap,
                "code": code,
                "name": name,
                "size": int(self._random.expovariate(1 / 900)) + 8,
                "payload": self._random.randbytes(64).hex(),
                "fields": [
                    ["request_id", "12"],
                    ["hashes", f"3 items: {self._id()}, {self._id()}, {self._id()}"],
                ],
                "error": "",
            }

    def _lookup(self) -> Json:
        number = len(self.state["lookups"])
        key = f"v4/{number}"
        hops: Json = {}
        known: list[str | None] = [None, None, None]
        distance, t = 255, self.t - TICK_S
        for n in range(18):
            node_id = self._id()
            silent = self._random.random() < 0.18
            hops[f"{key}/{n}"] = {
                "lookup": key,
                "n": n,
                "id": node_id,
                "short": node_id[:16],
                "addr": self._addr(),
                "distance": distance,
                "from": self._random.choice(known),
                "asked_t": t,
                "answered_t": None if silent else t + 0.08,
                "outcome": "silent" if silent else "answered",
                "neighbors": 0 if silent else 16,
            }
            known = known if silent else [*known[-3:], node_id]
            distance = (
                max(238, distance - self._random.choice((0, 0, 1, 1, 2))) if n % 3 else distance
            )
            t += 0.03
        lookup = {
            "protocol": "v4",
            "target": self._id(),
            "begun_t": self.t - TICK_S,
            "ended_t": t + 0.1,
            "found": 16,
        }
        return {"lookups": {key: lookup}, "hops": hops}

    def _dial(self) -> Json:
        number = len(self.state["dials"])
        node_id = self._id()
        step, error, text = ("", "", "") if number % 3 == 0 else self._random.choice(FAILURES)
        took = 0.2 if not text else 15.0 if error == "TimeoutError" else 0.4
        return {
            str(number): {
                "id": node_id,
                "short": node_id[:16],
                "addr": self._addr(),
                "begun_t": self.t - took,
                "ended_t": self.t,
                "outcome": "failed" if text else "connected",
                "step": step,
                "error": error,
                "text": text,
            }
        }

    def _answer(self) -> Json:
        keys = [key for key, node in self.state["nodes"].items() if node["live"]]
        return {
            key: {"answered_t": self.t, "checks": self.state["nodes"][key]["checks"] + 1}
            for key in self._random.sample(keys, min(4, len(keys)))
        }

    def _stall(self) -> Json:
        stalls = {}
        for (key, peer), where in zip(list(self.state["peers"].items())[3:5], STALLS, strict=False):
            stalls[f"{key}/eth/69"] = {
                "peer": key,
                "id": peer["id"],
                "short": peer["short"],
                "name": peer["name"],
                "cap": "eth/69",
                "since_t": self.t - 3,
                "waiting": 12,
                "waiting_bytes": 34560,
                "where": where,
            }
        return stalls


COLLECTIONS = (
    "node",
    "peers",
    "nodes",
    "lookups",
    "hops",
    "dials",
    "stalls",
    "counts",
    "lab_nodes",
    "edges",
)


def _count(cap: str, direction: str, code: int | None, name: str, per_s: float) -> Json:
    return {
        "cap": cap,
        "direction": direction,
        "code": code,
        "name": name,
        "messages": 0,
        "bytes": None if code is None else 0,
        "per_s": per_s,
    }


class LabStory(Story):
    """A lab: nodes of a small world, and a rumour that spreads over its edges."""

    def __init__(self, *, seed: int = 1, nodes: int = 60, degree: int = 4) -> None:
        super().__init__(seed=seed, peers=0, nodes=0)
        self.state = {name: {} for name in COLLECTIONS}
        for n in range(nodes):
            node_id = self._id()
            self.state["lab_nodes"][str(n)] = {
                "name": f"node {n}",
                "id": node_id,
                "short": node_id[:16],
                "running": True,
                "peers": degree,
                "note": "",
            }
            for step in range(1, degree // 2 + 1):
                far = (
                    self._random.randrange(nodes)
                    if self._random.random() < 0.12
                    else (n + step) % nodes
                )
                self._edge(n, far)
        self._heard = {"0"}
        self._told: set[str] = set()

    def _edge(self, a: int, b: int) -> None:
        if a != b:
            key = f"{min(a, b)}-{max(a, b)}"
            self.state["edges"][key] = {
                "a": str(min(a, b)),
                "b": str(max(a, b)),
                "state": "up",
                "latency_s": 0.05,
                "loss": 0.0,
                "bandwidth": None,
            }

    def update(self) -> Json:
        self.t += TICK_S
        activity, heard = [], set(self._heard)
        for key, edge in self.state["edges"].items():
            ends = [edge["a"], edge["b"]]
            if key in self._told or not heard & set(ends) or self._random.random() < 0.4:
                continue
            self._told.add(key)
            ends = ends if ends[0] in heard else ends[::-1]
            self._heard.add(ends[1])
            activity.append(
                {"t": self.t - 0.2, "from": ends[0], "to": ends[1], "label": "Rumour", "size": 12}
            )
        new = {node: {"note": "has heard"} for node in self._heard - heard}
        events = [
            {"t": self.t, "kind": "note", "text": f"node {node} has heard", "node": node}
            for node in sorted(new)
        ]
        point = {
            "bytes_in_per_s": 4e3,
            "bytes_out_per_s": 4e3,
            "messages_in_per_s": 9.0 * len(activity),
            "messages_out_per_s": 9.0 * len(activity),
            "cpu": 0.2,
            "threads": 4 + len(self.state["lab_nodes"]),
        }
        return self.happened(set={"lab_nodes": new}, point=point, events=events, activity=activity)
