"""Node lists in DNS: trees of signed TXT records (EIP-1459, devp2p "dnsdisc").

``Server(dns_discovery=...)`` dials the nodes of lists. A program without a server reads them by
:class:`NodeLists`; ``resolver`` is a :class:`Resolver` of dnspython, the extra ``dns``. A program
that publishes a list makes a :class:`Tree` of nodes and links to other lists, each a :class:`Link`
or a URL, and puts the records of the :class:`SignedTree` into its zone.

Inside, the modules are pure, except the front and the resolver.

===============  ===================================================================
`entry`          the entries of a tree: roots, branches, links; their text and hash
`tree`           building and signing of a tree, for its publisher
`subtree`        the walk over one subtree, in random order
`remotetree`     one tree at its domain: its root, its subtrees, and its pauses
`client`         the machine that finds the nodes of several trees
`resolver`       look-ups of TXT records, by dnspython
`front`          the thread of a client, for programs that ask for a node
===============  ===================================================================
"""

from __future__ import annotations

from p2p.dnsdisc.entry import Link
from p2p.dnsdisc.front import NodeLists
from p2p.dnsdisc.resolver import Resolver
from p2p.dnsdisc.tree import SignedTree, Tree

__all__ = ["Link", "NodeLists", "Resolver", "SignedTree", "Tree"]
