"""Routers that speak NAT-PMP or PCP, as gateways.

Both use the same port of the router. NAT-PMP is asked for first, since more routers speak it. One
thread at a time; calls block.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from p2p.clock import Deadline
from p2p.nat import natpmp, pcp
from p2p.nat.defaultroute import routers
from p2p.nat.epoch import RestartDetector
from p2p.nat.errors import Interrupted, NatError, NoAnswer, Restarted
from p2p.nat.exchange import ask
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.mapping import MapAnswer, Mapped, PortMapping
from p2p.nat.request import Request
from p2p.netutil import Endpoint, IPAddress


class NatPmp:
    """A router at ``endpoint`` that speaks NAT-PMP."""

    def __init__(self, endpoint: Endpoint, stop: Stop) -> None:
        # fixed after __init__
        self.name = f"NAT-PMP {_place(endpoint, natpmp.PORT)}"
        self._endpoint = endpoint
        self._stop = stop
        self._restarts = RestartDetector(natpmp.is_restart)

    def external_ip(self, deadline: Deadline) -> IPAddress:
        """Return the external address. Raises as :class:`~p2p.nat.gateway.Gateway` says."""
        answer = ask(
            self._endpoint,
            lambda ours, now: natpmp.address_request(now),
            deadline,
            self._stop,
            natpmp.MAX_SIZE,
        )
        self._check_epoch(answer.epoch)
        return answer.ip

    def map(self, mapping: PortMapping, deadline: Deadline) -> Mapped:
        """Create or renew a mapping."""
        answer = self._ask_for(mapping, deadline)
        self._check_epoch(answer.epoch)
        return answer.mapped

    def unmap(self, mapping: PortMapping, deadline: Deadline) -> None:
        """Delete a mapping."""
        self._ask_for(_deletion(mapping), deadline)

    def _ask_for(self, mapping: PortMapping, deadline: Deadline) -> MapAnswer:
        return ask(
            self._endpoint,
            lambda ours, now: natpmp.map_request(mapping, now),
            deadline,
            self._stop,
            natpmp.MAX_SIZE,
        )

    def _check_epoch(self, epoch: int) -> None:
        if self._restarts.has_restarted(epoch, time.monotonic()):
            raise Restarted(f"{self.name} has restarted")


class Pcp:
    """A router at ``endpoint`` that speaks PCP."""

    def __init__(self, endpoint: Endpoint, stop: Stop, nonce: bytes | None = None) -> None:
        """``nonce`` has 12 bytes, as :func:`find` describes it."""
        # fixed after __init__
        self.name = f"PCP {_place(endpoint, pcp.PORT)}"
        self._endpoint = endpoint
        self._stop = stop
        self._restarts = RestartDetector(pcp.is_restart)
        self._nonce = nonce or secrets.token_bytes(pcp.NONCE_SIZE)
        # the last that was granted; a router may refuse the other protocol
        self._last: PortMapping | None = None

    def announce(self, deadline: Deadline) -> None:
        """Return if the router answers. Raises NatError if not."""

        def request(ours: IPAddress, now: float) -> Request[int]:
            return pcp.announce_request(ours, random.Random(), now)

        ask(self._endpoint, request, deadline, self._stop, pcp.MAX_SIZE)

    def external_ip(self, deadline: Deadline) -> IPAddress:
        """Return the external address.

        PCP tells it with a mapping only, so this renews the last one.
        """
        if self._last is None:
            raise NatError(f"{self.name} tells its address with a mapping only")
        ip = self.map(self._last, deadline).external_ip
        assert ip is not None
        return ip

    def map(self, mapping: PortMapping, deadline: Deadline) -> Mapped:
        """Create or renew a mapping."""
        answer = self._ask_for(mapping, deadline)
        self._last = mapping
        if self._restarts.has_restarted(answer.epoch, time.monotonic()):
            raise Restarted(f"{self.name} has restarted")
        return answer.mapped

    def unmap(self, mapping: PortMapping, deadline: Deadline) -> None:
        """Delete a mapping."""
        self._ask_for(_deletion(mapping), deadline)

    def _ask_for(self, mapping: PortMapping, deadline: Deadline) -> MapAnswer:
        def request(ours: IPAddress, now: float) -> Request[MapAnswer]:
            return pcp.map_request(mapping, ours, self._nonce, random.Random(), now)

        return ask(self._endpoint, request, deadline, self._stop, pcp.MAX_SIZE)


def find(
    deadline: Deadline,
    stop: Stop,
    at: Sequence[Endpoint] | None = None,
    nonce: bytes | None = None,
) -> Gateway | None:
    """Return the first router that speaks NAT-PMP or PCP, None if none does before ``deadline``.

    ``at``: the routers to ask; None: those of the default routes. ``nonce``: 12 bytes that others
    cannot guess, for PCP; a router accepts changes of a mapping with its nonce only. None: random.
    Raises Interrupted.
    """
    left = [Endpoint(ip, natpmp.PORT) for ip in routers()] if at is None else list(at)
    while left:
        # Each router gets the same time, and each of its protocols.
        endpoint, share = left.pop(0), deadline.part(1 / (len(left) + 1))
        gateway = _probe_natpmp(endpoint, share.part(1 / 2), stop)
        gateway = gateway or _probe_pcp(endpoint, share, stop, nonce)
        if gateway is not None:
            return gateway
    return None


def _probe_natpmp(endpoint: Endpoint, deadline: Deadline, stop: Stop) -> Gateway | None:
    gateway = NatPmp(endpoint, stop)
    try:
        gateway.external_ip(deadline)
    except (Interrupted, NoAnswer, natpmp.OtherVersion) as error:
        _raise_if_interrupted(error)
        return None
    except NatError:
        pass  # it speaks NAT-PMP, and may have an address later
    return gateway


def _probe_pcp(
    endpoint: Endpoint, deadline: Deadline, stop: Stop, nonce: bytes | None
) -> Gateway | None:
    gateway = Pcp(endpoint, stop, nonce)
    try:
        gateway.announce(deadline)
    except NatError as error:
        _raise_if_interrupted(error)
        return None
    return gateway


def _raise_if_interrupted(error: NatError) -> None:
    if isinstance(error, Interrupted):
        raise error


def _deletion(mapping: PortMapping) -> PortMapping:
    return replace(mapping, lifetime_s=0)


def _place(endpoint: Endpoint, usual_port: int) -> str:
    return str(endpoint.ip if endpoint.port == usual_port else endpoint)
