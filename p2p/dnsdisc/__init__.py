"""Node lists in DNS: trees of signed TXT records (EIP-1459, devp2p "dnsdisc").

``Server(dns_discovery=...)`` dials the nodes of lists. A program without a server reads them by
:class:`NodeLists`; ``resolver`` is a :class:`Resolver` of dnspython, the extra ``dns``. A program
that publishes a list makes a :class:`Tree` of nodes and links to other lists, each a :class:`Link`
or a URL, and puts the records of the :class:`SignedTree` into its zone.

:func:`read_tree` reads a published list as a whole, to copy or to check it: a
:class:`PublishedTree`, in which each entry that is missing or wrong is a :class:`Problem`.
:func:`resolver_of` makes a resolver that asks one name server.

Inside, the modules are pure, except the front, the resolver and the download.

===============  ===================================================================
`entry`          the entries of a tree: roots, branches, links; their text and hash
`tree`           building and signing of a tree, for its publisher
`subtree`        the walk over one subtree, in random order
`remotetree`     one tree at its domain: its root, its subtrees, and its pauses
`client`         the machine that finds the nodes of several trees
`treereader`     the machine that reads a whole tree, for publishers
`resolver`       look-ups of TXT records, by dnspython
`download`       a whole tree, read in the calling thread
`front`          the thread of a client, for programs that ask for a node
===============  ===================================================================
"""

from __future__ import annotations

from p2p.dnsdisc.download import read_tree
from p2p.dnsdisc.entry import Link
from p2p.dnsdisc.front import NodeLists
from p2p.dnsdisc.resolver import Resolver, resolver_of
from p2p.dnsdisc.tree import SignedTree, Tree
from p2p.dnsdisc.treereader import Problem, PublishedTree

__all__ = [
    "Link",
    "NodeLists",
    "Problem",
    "PublishedTree",
    "Resolver",
    "SignedTree",
    "Tree",
    "read_tree",
    "resolver_of",
]
