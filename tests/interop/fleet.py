"""Twelve servers of one network, each in a network namespace: how long until all are connected.

``python -m tests.interop.fleet [--network 20.0.0] [--own] [--seconds 300]`` prints the number of
connections at each change, and the seconds since the last server was started. It needs root and
``ip``; everything that it makes has the number of the process in its name and goes away with it.
``--own`` gives each server ``own_networks``.
"""

from __future__ import annotations

import argparse
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import p2p

SIZE = 12
PORT = 30303


def key(number: int) -> p2p.PrivateKey:
    return p2p.PrivateKey.from_bytes(number.to_bytes(32, "big"))


def node(network: str, number: int) -> p2p.Node:
    return p2p.Node.from_parts(key(number).public_key, f"{network}.{number}", PORT, PORT)


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for _ in rw:
        pass


def serve(network: str, number: int, own: bool) -> None:
    """One server; prints how many peers it has, at first and at each change."""
    server = p2p.Server(
        private_key=key(number),
        name=f"fleet {number}",
        max_peers=25,
        listen_addr=f"{network}.{number}:{PORT}",
        protocols=[p2p.Protocol("fleet", 1, 1, stay)],
        bootstrap_nodes=[node(network, 1)] if number > 1 else [],
        own_networks=f"{network}.0/24" if own else None,
    )
    with server, server.subscribe_events() as events:
        threading.Thread(target=lambda: (sys.stdin.read(), server.stop()), daemon=True).start()
        try:
            print(0, flush=True)
            while events.get():
                print(server.peer_count, flush=True)
        except p2p.ServerStopped:
            pass


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, stdout=subprocess.DEVNULL)


def build(network: str, stack: ExitStack) -> list[str]:
    """A bridge in a namespace, and one namespace for each server on it; returns their names."""
    hub = f"fleet{os.getpid()}"
    names = [f"{hub}-{number}" for number in range(1, SIZE + 1)]
    for name in (hub, *names):
        ip(f"netns add {name}")
        stack.callback(ip, f"netns del {name}")
    ip(f"-n {hub} link add bridge type bridge")
    ip(f"-n {hub} link set bridge up")
    for number, name in enumerate(names, 1):
        ip(f"-n {hub} link add port{number} type veth peer name eth0 netns {name}")
        ip(f"-n {hub} link set port{number} master bridge up")
        ip(f"-n {name} addr add {network}.{number}/24 dev eth0")
        ip(f"-n {name} link set eth0 up")
        ip(f"-n {name} link set lo up")
    return names


def watch(number: int, process: subprocess.Popen[str], told: queue.Queue[tuple[int, int]]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        told.put((number, int(line)))


def run(network: str, own: bool, seconds: float) -> None:
    wanted = SIZE * (SIZE - 1) // 2
    told: queue.Queue[tuple[int, int]] = queue.Queue()
    counts: dict[int, int] = {}
    shown = 0
    with ExitStack() as stack:
        names = build(network, stack)
        began = time.monotonic()  # and again when the last server runs
        for number, name in enumerate(names, 1):
            command = f"ip netns exec {name} {sys.executable} -m {__spec__.name}"
            options = ["--network", network, "--serve", str(number), *(["--own"] if own else [])]
            process = subprocess.Popen(
                [*command.split(), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.communicate)
            threading.Thread(target=watch, args=(number, process, told), daemon=True).start()
        while shown < wanted and time.monotonic() - began < seconds:
            try:
                number, count = told.get(timeout=1.0)
            except queue.Empty:
                continue
            if number not in counts and len(counts) == SIZE - 1:
                began = time.monotonic()
            counts[number] = count
            if (connections := sum(counts.values()) // 2) > shown:
                shown = connections
                print(f"{time.monotonic() - began:6.1f} s  {shown} of {wanted}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="20.0.0", help="the first three numbers of a /24")
    parser.add_argument("--own", action="store_true", help="name the network in own_networks")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to wait at most")
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.network, options.serve, options.own)
    else:
        run(options.network, options.own, options.seconds)


if __name__ == "__main__":
    main()
