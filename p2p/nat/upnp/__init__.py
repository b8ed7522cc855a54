"""Port mappings by UPnP: Internet Gateway Device, versions 1 and 2.

===============  ===================================================================
`search`         :func:`find`: the router of this network, among those that answer
`igd`            a router as a gateway: mappings, renewal, the external address
`client`         requests over TCP, with a deadline and an interruption
`ssdp`           the search's datagrams (pure)
`description`    the services of a router (pure), with `xmltree` and `url`
`soap`           actions and their answers (pure)
`httpanswer`     requests of HTTP, and the answer from its bytes (pure)
===============  ===================================================================
"""

from __future__ import annotations

from p2p.nat.upnp.search import find

__all__ = ["find"]
