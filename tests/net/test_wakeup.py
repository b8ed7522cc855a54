from __future__ import annotations

import select

from p2p.net.wakeup import WakeUp


def test_send_makes_it_readable_until_drained() -> None:
    wake_up = WakeUp()
    assert select.select([wake_up.fd], [], [], 0)[0] == []
    wake_up.send()
    assert select.select([wake_up.fd], [], [], 5)[0] == [wake_up.fd]
    wake_up.drain(1)
    assert select.select([wake_up.fd], [], [], 0)[0] == []
    wake_up.close()


def test_send_never_waits() -> None:
    wake_up = WakeUp()
    for _ in range(10_000):  # more than a pipe holds
        wake_up.send()
    wake_up.close()


def test_send_after_close_has_no_effect() -> None:
    wake_up = WakeUp()
    wake_up.close()
    wake_up.close()
    wake_up.send()
    assert wake_up.sent == 0


def test_drain_of_nothing_returns() -> None:
    wake_up = WakeUp()
    wake_up.drain(1)
    wake_up.close()
