"""Anti-amplification limit: bytes sent in answer to an unproven address.

Pure. Any host can send us datagrams under a forged source address. Our answers to an unproven
address are at most three times the bytes that came from it, so that no attacker can use us as an
amplifier (discovery v4, "Endpoint Proof").
"""

from __future__ import annotations

from collections import OrderedDict

from p2p.netutil import IPAddress

#: Bytes that may go to an unproven address for each byte that came from it.
MAX_AMPLIFICATION = 3

#: Most addresses that are kept. A dropped address must send again before it is answered.
MAX_BUDGETS = 4096


class AmplificationBudget:
    """Bytes from and to each unproven address, for at most ``max_addresses`` of them."""

    def __init__(self, max_addresses: int = MAX_BUDGETS) -> None:
        self._max = max_addresses
        self._bytes: OrderedDict[IPAddress, tuple[int, int]] = OrderedDict()

    def received(self, ip: IPAddress, size_bytes: int) -> None:
        """Count ``size_bytes`` received from ``ip``."""
        came, went = self._bytes.get(ip, (0, 0))
        self._bytes[ip] = came + size_bytes, went
        self._bytes.move_to_end(ip)
        if len(self._bytes) > self._max:
            self._bytes.popitem(last=False)

    def spend(self, ip: IPAddress, size_bytes: int) -> bool:
        """Whether ``size_bytes`` may be sent to ``ip``; if so, they are counted as sent."""
        came, went = self._bytes.get(ip, (0, 0))
        if went + size_bytes > MAX_AMPLIFICATION * came:
            return False
        self._bytes[ip] = came, went + size_bytes
        return True

    def of(self, ip: IPAddress) -> tuple[int, int]:
        """Return the bytes received from ``ip``, and those sent to it in answer."""
        return self._bytes.get(ip, (0, 0))

    def __len__(self) -> int:
        return len(self._bytes)
