"""Nodes of the local network, found by DNS-SD over multicast DNS (the option ``lan_discovery``).

The pure part is the TXT record with the node record (:mod:`p2p.lan.txt`), the checks of what other
hosts announce (:mod:`p2p.lan.announcement`), the choice of interfaces (:mod:`p2p.lan.interfaces`)
and the nodes known so far (:mod:`p2p.lan.known`). :mod:`p2p.lan.adapters` lists the interfaces,
:mod:`p2p.lan.link` has the library zeroconf, :mod:`p2p.lan.front` the thread ``p2p-lan``.
docs/design/lan.md gives the reasons.
"""
