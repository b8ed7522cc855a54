"""Check of our wall clock with a time server, when no node answers any more.

A discovery packet has an expiration time, so other nodes drop the packets of a node whose clock is
wrong, and the node drops theirs. To the node this looks like a network of dead nodes. Hence, when
the engine reports many requests in a row without an answer, a time server is asked, and a clock
that is far off is logged as a WARNING. Nothing is corrected. Of several addresses of the server the
first that answers is used.

:class:`ClockCheck` belongs to the thread of the engine; it starts the thread ``p2p-ntp``, which
looks up the server's name, measures and ends. :func:`measure_drift` is the measurement alone, for
any thread that may block.

The exchange is SNTP (RFC 4330): one packet of 48 bytes each way, numbers big-endian::

    0   1   leap indicator (2 bits), version (3 bits), mode (3 bits: 3 client, 4 server)
    1   1   stratum; 0 in an answer is a refusal
    12  4   with stratum 0, four letters with the reason
    24  8   in an answer, the bytes of the request at 40
    40  8   time of sending: seconds since 1900 (32 bits) and their fraction (32 bits)
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from datetime import timedelta

from p2p import forks
from p2p.clock import Clock, Deadline, SystemClock
from p2p.errors import ServerStopped
from p2p.net import NameLookups, family_of, sockaddr_of
from p2p.net.wakeup import WakeUp
from p2p.netutil import Endpoint

#: A host name or address, and a port.
NTP_SERVER = ("pool.ntp.org", 123)

#: Seconds between two checks: a node without a network must not flood the time servers.
COOL_DOWN_S = 600.0

#: Largest error of the clock, in seconds, without a warning. Packets are valid for 20 s.
DRIFT_THRESHOLD_S = 10.0

#: Measurements that count. Two more are made, and the highest and the lowest are left out.
MEASUREMENTS = 3

#: Seconds to wait for one answer.
REPLY_TIMEOUT_S = 5.0
#: Seconds to wait for the addresses of a server.
LOOKUP_TIMEOUT_S = 15.0

_PACKET_BYTES = 48
_MODE_MASK = 0b111
_CLIENT_V3 = 3 << 3 | 3
_SERVER_MODE = 4
_STRATUM = 1
_REFUSAL = slice(12, 16)
_ORIGIN = slice(24, 32)
_TRANSMIT = slice(40, 48)
# From 1900 to 1970. The 32-bit seconds wrap in 2036; values below half of the range are taken as
# later than that.
_UNIX_EPOCH_S = 2_208_988_800
_ERA_S = 1 << 32


class _Stopped(Exception):
    """The measurement is to end at once."""


def measure_drift(
    server: tuple[str, int] = NTP_SERVER,
    measurements: int = MEASUREMENTS,
    *,
    timeout_s: float = REPLY_TIMEOUT_S,
    clock: Clock | None = None,
) -> float:
    """Return the seconds by which our wall clock is ahead of the time server's; negative if behind.

    It is the mean of ``measurements``, made without the two extremes. ``server`` is a host and a
    port. Raises OSError if the name cannot be resolved, or the server refuses or does not answer
    within ``timeout_s`` seconds (TimeoutError). For any thread that may block: it looks up a name
    and waits for answers.
    """
    measuring = _Measuring(server, measurements, timeout_s, clock or SystemClock(), NameLookups())
    try:
        return measuring.run()
    finally:
        measuring.close()


class _Measuring:
    """One series of measurements, made by one thread and stopped from another."""

    def __init__(
        self,
        server: tuple[str, int],
        measurements: int,
        timeout_s: float,
        clock: Clock,
        lookups: NameLookups,
    ) -> None:
        # fixed after __init__
        self._server = server
        self._measurements = measurements
        self._timeout_s = timeout_s
        self._clock = clock
        self._lookups = lookups
        self._wake_up = WakeUp()
        # set once, by any thread
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make :meth:`run` raise _Stopped, unless it waits for a look-up. Any thread."""
        self._stopped.set()
        self._wake_up.send()

    def run(self) -> float:
        """Measure, and return the seconds by which we are ahead.

        Raises ServerStopped after a stop of the look-ups.
        """
        host, port = self._server
        failure: OSError | None = None
        for ip in self._lookups.wait(host, LOOKUP_TIMEOUT_S):
            try:
                return self._measure_at(Endpoint(ip, port))
            except OSError as error:
                failure = error
        assert failure is not None
        raise failure

    def _measure_at(self, endpoint: Endpoint) -> float:
        drifts = []
        for _ in range(self._measurements + 2):
            sock = socket.socket(family_of(endpoint), socket.SOCK_DGRAM)
            with sock, selectors.DefaultSelector() as ready:
                forks.in_child(sock)
                forks.in_child(ready)
                sock.setblocking(False)
                sock.connect(sockaddr_of(endpoint))
                ready.register(sock, selectors.EVENT_READ)
                ready.register(self._wake_up.fd, selectors.EVENT_READ)
                drifts.append(self._measure(sock, ready))
        counted = sorted(drifts)[1:-1]
        return sum(counted) / len(counted)

    def close(self) -> None:
        """Close the sockets. Only on the thread of :meth:`run`."""
        self._wake_up.close()

    def _measure(self, sock: socket.socket, ready: selectors.BaseSelector) -> float:
        # Random bits in place of our time: only a host that sees the request can answer it, and the
        # server learns nothing about our clock.
        token = os.urandom(8)
        request = bytes([_CLIENT_V3]) + bytes(_PACKET_BYTES - 9) + token
        deadline = Deadline(self._timeout_s)
        sent_unix, sent_at = self._clock.time_unix(), self._clock.monotonic()
        sock.send(request)
        while True:
            self._wait(ready, deadline)
            elapsed_s = self._clock.monotonic() - sent_at
            try:
                answer = sock.recv(_PACKET_BYTES)
            except BlockingIOError:
                continue
            if _answers(answer, token):
                break
        if answer[_STRATUM] == 0:
            why = answer[_REFUSAL].decode("ascii", "replace")
            raise ConnectionRefusedError(f"{self._server[0]} refuses to tell the time: {why!r}")
        return sent_unix + elapsed_s / 2 - _unix_time(answer[_TRANSMIT])

    def _wait(self, ready: selectors.BaseSelector, deadline: Deadline) -> None:
        found = [] if deadline.is_over else ready.select(deadline.left_s)
        if self._stopped.is_set():
            raise _Stopped
        if not found:
            raise TimeoutError(f"no answer from {self._server[0]} within {self._timeout_s} s")


def _answers(packet: bytes, token: bytes) -> bool:
    return (
        len(packet) >= _PACKET_BYTES
        and packet[0] & _MODE_MASK == _SERVER_MODE
        and packet[_ORIGIN] == token
    )


def _unix_time(timestamp: bytes) -> float:
    seconds = int.from_bytes(timestamp[:4], "big")
    fraction = int.from_bytes(timestamp[4:], "big") / _ERA_S
    era = 0 if seconds & 0x8000_0000 else _ERA_S
    return era + seconds - _UNIX_EPOCH_S + fraction


class ClockCheck:
    """Check of the clock on demand, at most once in 10 minutes.

    ``server`` is the host and port of the time server; without one there is no check. ``timeout_s``
    is the longest wait for an answer. ``lookups`` looks the name of the server up; its owner stops
    it together with this. The thread that calls its methods owns it.
    """

    def __init__(
        self,
        clock: Clock,
        logger: logging.Logger,
        server: tuple[str, int] | None = NTP_SERVER,
        *,
        timeout_s: float = REPLY_TIMEOUT_S,
        lookups: NameLookups | None = None,
    ) -> None:
        # fixed after __init__
        self._clock = clock
        self._lookups = lookups or NameLookups()
        self._log = logger
        self._server = server
        self._timeout_s = timeout_s
        # owned by the thread that calls
        self._not_before = clock.monotonic()
        self._stopped = False
        self._measuring: _Measuring | None = None
        self._thread: threading.Thread | None = None

    @property
    def thread(self) -> threading.Thread | None:
        """The last ``p2p-ntp`` thread, which may have ended. Any thread may read and join it."""
        return self._thread

    def begin(self) -> None:
        """Check the clock in a thread, unless that was done within COOL_DOWN_S. Does not wait."""
        now = self._clock.monotonic()
        if self._server is None or self._stopped or now < self._not_before:
            return
        if self._thread is not None and self._thread.is_alive():
            return  # a server with many addresses that does not answer
        self._not_before = now + COOL_DOWN_S
        self._start_thread(self._server)

    def stop(self) -> None:
        """Begin no more checks, and end the one under way, unless it waits for a look-up.

        Does not wait; idempotent.
        """
        self._stopped = True
        if self._measuring is not None:
            self._measuring.stop()

    def _start_thread(self, server: tuple[str, int]) -> None:
        try:
            measuring = _Measuring(
                server, MEASUREMENTS, self._timeout_s, self._clock, self._lookups
            )
        except OSError as error:
            self._log.debug("the clock cannot be checked: %s", error)
            return
        thread = threading.Thread(
            target=self._check, args=(measuring, server[0]), name="p2p-ntp", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            measuring.close()
            self._log.debug("the clock cannot be checked: %s", error)
            return
        self._measuring, self._thread = measuring, thread

    # thread p2p-ntp

    def _check(self, measuring: _Measuring, host: str) -> None:
        try:
            drift_s = measuring.run()
        except (_Stopped, ServerStopped):
            return
        except (OSError, RuntimeError) as error:  # RuntimeError: no more threads
            self._log.debug("the clock could not be checked with %s: %s", host, error)
            return
        finally:
            measuring.close()
        if abs(drift_s) < DRIFT_THRESHOLD_S:
            self._log.debug("the clock agrees with %s: %+.3f s", host, drift_s)
            return
        warn_of_drift(self._log, drift_s, host)


def warn_of_drift(log: logging.Logger, drift_s: float, whose: str) -> None:
    """Warn that our wall clock is ``drift_s`` seconds ahead of others; negative if behind.

    ``whose`` names the other clocks, as in "of ...".
    """
    log.warning(
        "the wall clock is %s (%.1f s) %s that of %s, so that %s; "
        "set it, and have it kept by network time",
        timedelta(seconds=round(abs(drift_s))),
        abs(drift_s),
        "ahead of" if drift_s > 0 else "behind",
        whose,
        "we drop the packets of others as expired" if drift_s > 0 else "others drop our packets",
    )
