"""The proxy does to a connection what its plan says, and nothing else."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random

import pytest

from tests.kit.waiting import PATIENCE_S
from tests.stress.faultlink import BUFFER_BYTES, DRIP_BYTES, DRIP_PAUSE_S, Fault, Plan
from tests.stress.faultproxy import Door, FaultProxy

#: Long enough for the kernel to move what it can move.
A_MOMENT_S = 0.2
NO_LINGER = struct.pack("ii", 1, 0)
Ends = tuple[socket.socket, socket.socket]
Connect = Callable[[Door], Ends]


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.settimeout(PATIENCE_S)
        yield sock


@pytest.fixture
def proxy(target: socket.socket) -> Iterator[FaultProxy]:
    with FaultProxy(target.getsockname(), seed=1) as proxy:
        yield proxy


@pytest.fixture
def connect(target: socket.socket) -> Iterator[Connect]:
    """Makes connections: the end that connects to a door, and the end that the target accepts."""
    made: list[socket.socket] = []

    def connect(door: Door) -> Ends:
        near = socket.create_connection(door.address, PATIENCE_S)
        made.append(near)
        far, _ = target.accept()
        made.append(far)
        far.settimeout(PATIENCE_S)
        return near, far

    yield connect
    for sock in made:
        sock.close()


def planned(fault: Fault, after_bytes: int = 0) -> Callable[[int, Random], Plan]:
    return lambda number, chance: Plan(fault, after_bytes)


def read_all(sock: socket.socket) -> bytes:
    """What comes until the end of the data."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def holds_enough(proxy: FaultProxy, door: Door) -> bool:
    """Whether the proxy reads no more from the one that has connected, whose reader is slow."""
    found: list[bool] = []
    proxy.call(lambda: found.extend(not link._pipes[0].wants_data for link in door.links))
    return found == [True]


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the end of the data came early"
        data += part
    return bytes(data)


def nothing_comes(sock: socket.socket) -> bool:
    sock.settimeout(A_MOMENT_S)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE_S)
    return False


class Noted:
    """A socket; the sizes of what is sent are noted."""

    def __init__(self, sock: socket.socket, sizes: list[int]) -> None:
        self._sock = sock
        self._sizes = sizes

    def send(self, data: bytes) -> int:
        sent = self._sock.send(data)
        self._sizes.append(sent)
        return sent

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def noise(size: int) -> bytes:
    return Random(2).randbytes(size)


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.DELAY])
def test_bytes_pass_in_order_both_ways_and_so_do_the_ends_of_data(
    proxy: FaultProxy, connect: Connect, fault: Fault
) -> None:
    door = proxy.door(planned(fault))
    near, far = connect(door)
    sent = noise(400_000 if fault is Fault.DELAY else 4_000_000)
    thread = threading.Thread(target=lambda: (near.sendall(sent), near.shutdown(socket.SHUT_WR)))
    thread.start()
    assert read_all(far) == sent
    thread.join(PATIENCE_S)
    far.sendall(b"the answer comes after the end of the question")
    far.close()
    assert read_all(near) == b"the answer comes after the end of the question"
    proxy.call(lambda: None)
    assert not door.links


def test_drip_passes_a_few_bytes_at_a_time_in_order(proxy: FaultProxy, connect: Connect) -> None:
    door = proxy.door(planned(Fault.DRIP))
    near, far = connect(door)
    sizes: list[int] = []

    def note_sizes() -> None:
        (link,) = door.links
        link.ends[1].sock = Noted(link.ends[1].sock, sizes)  # type: ignore[assignment]

    proxy.call(note_sizes)
    begun = time.monotonic()
    near.sendall(noise(60))
    assert read_exactly(far, 60) == noise(60)
    proxy.call(lambda: None)  # the last one is noted
    assert sum(sizes) == 60 and max(sizes) <= DRIP_BYTES
    assert time.monotonic() - begun >= (len(sizes) - 1) * DRIP_PAUSE_S[0]


def test_fault_begins_after_its_bytes(proxy: FaultProxy, connect: Connect) -> None:
    door = proxy.door(planned(Fault.RESET, after_bytes=1000))
    near, far = connect(door)
    near.sendall(noise(500))
    assert read_exactly(far, 500) == noise(500)
    far.sendall(noise(499))
    assert read_exactly(near, 499) == noise(499)
    assert door.begun[Fault.RESET] == 0
    near.sendall(b"x")
    for end in (near, far):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    assert door.begun[Fault.RESET] == 1


def test_fault_after_no_bytes_begins_at_once(proxy: FaultProxy) -> None:
    door = proxy.door(planned(Fault.RESET))
    with pytest.raises(ConnectionResetError):  # of connect or of recv, whichever is later
        with socket.create_connection(door.address, PATIENCE_S) as near:
            near.recv(1)
    assert door.begun[Fault.RESET] == 1
    proxy.call(lambda: None)
    assert not door.links


def test_flip_changes_one_bit_and_no_more(proxy: FaultProxy, connect: Connect) -> None:
    near, far = connect(proxy.door(planned(Fault.FLIP, after_bytes=1000)))
    flipped_bits = []
    for _ in range(3):
        near.sendall(noise(600))
        came = read_exactly(far, 600)
        differs = int.from_bytes(came, "big") ^ int.from_bytes(noise(600), "big")
        flipped_bits.append(differs.bit_count())
    assert flipped_bits == [0, 1, 0]
    near.close()
    assert read_all(far) == b""


def test_stall_stops_reading_at_both_ends_until_it_is_taken_away(
    proxy: FaultProxy, connect: Connect
) -> None:
    door = proxy.door()
    near, far = connect(door)
    near.sendall(b"before")
    assert read_exactly(far, 6) == b"before"
    door.inject(Fault.STALL)
    for writer, reader in ((near, far), (far, near)):
        writer.sendall(b"during")
        assert nothing_comes(reader)
    near.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            near.send(bytes(BUFFER_BYTES))
    near.settimeout(PATIENCE_S)
    door.inject(Fault.NONE)
    assert read_exactly(far, 6) == read_exactly(near, 6) == b"during"


def test_half_open_swallows_bytes_and_ends_and_resets(proxy: FaultProxy, connect: Connect) -> None:
    door = proxy.door()
    for how in ("end", "reset"):
        near, far = connect(door)
        door.inject(Fault.HALF_OPEN)
        with closing(near):
            for _ in range(200):
                near.sendall(bytes(BUFFER_BYTES))  # it is taken, however much
            far.sendall(b"and from the other end")
            assert nothing_comes(near)
            if how == "reset":
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        assert nothing_comes(far)


@pytest.mark.parametrize("whose", [0, 1])
def test_reset_of_one_end_reaches_the_other(
    proxy: FaultProxy, connect: Connect, whose: int
) -> None:
    door = proxy.door()
    ends = connect(door)
    ends[0].sendall(b"x")
    read_exactly(ends[1], 1)
    ends[whose].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    ends[whose].close()
    with pytest.raises(ConnectionResetError):
        ends[1 - whose].recv(1)


def test_slow_reader_is_felt_by_the_writer(proxy: FaultProxy, connect: Connect) -> None:
    """The proxy holds little: what is not read fills the kernel, and then nothing goes."""
    door = proxy.door()
    near, far = connect(door)
    sent, is_full = 0, False
    near.settimeout(A_MOMENT_S)
    while not is_full and sent < 100_000_000:
        try:
            sent += near.send(bytes(BUFFER_BYTES))
        except TimeoutError:  # or the proxy, too, has been waiting for the processor
            is_full = holds_enough(proxy, door)
    assert is_full
    near.shutdown(socket.SHUT_WR)
    assert len(read_all(far)) == sent


def test_connections_of_one_seed_meet_the_same_chances(target: socket.socket) -> None:
    def chances() -> list[float]:
        met: list[float] = []

        def planner(number: int, chance: Random) -> Plan:
            met.append(chance.random())
            return Plan()

        with FaultProxy(target.getsockname(), seed=7) as proxy:
            door = proxy.door(planner)
            for _ in range(3):
                with socket.create_connection(door.address, PATIENCE_S), target.accept()[0]:
                    pass
        return met

    first = chances()
    assert first == chances()
    assert len(set(first)) == 3


def test_a_door_has_its_own_faults_and_cut_resets_what_came_by_it(
    proxy: FaultProxy, connect: Connect
) -> None:
    calm, rough = proxy.door(), proxy.door(planned(Fault.HALF_OPEN))
    near, far = connect(calm)
    other, other_far = connect(rough)
    rough.cut()
    for end in (other, other_far):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    near.sendall(b"unharmed")
    assert read_exactly(far, 8) == b"unharmed"
    assert len(calm.links) == 1 and not rough.links


def test_failure_of_the_proxy_is_raised_when_it_is_closed(target: socket.socket) -> None:
    def planner(number: int, chance: Random) -> Plan:
        raise ZeroDivisionError

    proxy = FaultProxy(target.getsockname())
    with socket.create_connection(proxy.door(planner).address, PATIENCE_S) as sock:
        assert read_all(sock) == b""
    with pytest.raises(ZeroDivisionError):
        proxy.close()
