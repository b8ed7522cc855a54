"""Port mappings and our external address: NAT-PMP, PCP, UPnP, STUN.

:attr:`p2p.Server.nat` is a public :class:`NatStatus`, with a :class:`MappedPort` for each port:
whether a router has mapped the ports of the server, and our address outside.

===============  ===================================================================
`spec`           the texts of the options `nat` and `advertise` (pure)
`errors`         the refusals, wrong answers and interruptions (pure)
`mapping`        a port mapping, as it is asked for and as it is granted (pure)
`leases`         the time to ask for each mapping (pure)
`request`        a request by UDP and its retransmissions (pure)
`natpmp` `pcp`   packets and rules of NAT-PMP and PCP (pure)
`epoch`          a restart of the router, by the times in their answers (pure)
`stun`           packets of STUN (pure)
`gateway`        the interface of a router that maps ports, and the end of a wait for it
`exchange`       a request with a real socket
`names`          the addresses of a host name
`defaultroute`   the addresses of routers
`portmap`        routers with NAT-PMP or PCP
`upnp/`          routers with UPnP
`stunclient`     STUN servers
`finders`        the searches of each kind of `nat`
`routersearch`   the search for a router, on a thread for each kind
`front`          the thread `p2p-nat`, which keeps the mappings and the address up to date
===============  ===================================================================
"""

from __future__ import annotations

from p2p.nat.mapping import MappedPort, NatStatus

__all__ = ["MappedPort", "NatStatus"]
