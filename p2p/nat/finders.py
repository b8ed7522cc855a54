"""The searches of each value of the option ``nat``, by the names of their threads.

Nothing is searched here: :class:`p2p.nat.routersearch.RouterSearch` runs them. Any thread.
"""

from __future__ import annotations

from functools import partial

from p2p.clock import Deadline
from p2p.crypto import PrivateKey, keccak256
from p2p.nat import natpmp, pcp, portmap
from p2p.nat.gateway import Gateway, Stop
from p2p.nat.routersearch import Find
from p2p.nat.spec import NatKind, NatSpec
from p2p.nat.stunclient import SERVERS, StunServers
from p2p.netutil import Endpoint


def finders(spec: NatSpec, private_key: PrivateKey) -> dict[str, Find]:
    """Return the searches to make at once; none if nothing is to be found.

    The nonce of PCP depends on the key, so that a node may renew its mappings after a crash.
    """
    find_pmp = partial(portmap.find, nonce=_nonce(private_key))
    if spec.kind is NatKind.ANY:
        return {"upnp": _upnp, "pmp": find_pmp}
    if spec.kind is NatKind.UPNP:
        return {"upnp": _upnp}
    if spec.kind is NatKind.PMP:
        at = None if spec.ip is None else [Endpoint(spec.ip, natpmp.PORT)]
        return {"pmp": partial(find_pmp, at=at)}
    if spec.kind is NatKind.STUN:
        return {"stun": partial(_stun, SERVERS if spec.server is None else (spec.server,))}
    return {}


def _nonce(private_key: PrivateKey) -> bytes:
    return keccak256(b"PCP nonce" + private_key.to_bytes())[: pcp.NONCE_SIZE]


def _upnp(deadline: Deadline, stop: Stop) -> Gateway | None:
    from p2p.nat import upnp  # its parsers of XML and HTTP take a twentieth of all imports

    return upnp.find(deadline, stop)


def _stun(servers: tuple[tuple[str, int], ...], deadline: Deadline, stop: Stop) -> Gateway:
    return StunServers(servers, stop)
