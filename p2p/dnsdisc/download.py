"""A whole published tree, read in the calling thread.

One look-up at a time, as fast as the name server answers. Any thread; it blocks.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from p2p.arguments import check_function, check_type
from p2p.dnsdisc.entry import Link, link_of
from p2p.dnsdisc.resolver import Resolver, TextResolver, check_installed
from p2p.dnsdisc.treereader import PublishedTree, TreeReader


def read_tree(
    url: str | Link,
    *,
    resolver: Resolver | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> PublishedTree:
    """Read a published node list as a whole (EIP-1459), to copy it or to check it.

    ``url`` is "enrtree://<key>@<domain>". ``resolver`` is a ``dns.resolver.Resolver``, such as
    :func:`resolver_of` makes; None: the default one of dnspython, which asks the name servers of
    the system. ``on_progress(read, known)`` is called after each look-up with the number of entries
    read and known so far.

    An entry that is missing or wrong is one of the ``problems`` of the result; a failed look-up is
    tried three times. Links are not followed. A program that wants nodes to dial uses
    :class:`NodeLists`, which does not read the whole list. Blocks for as long as it takes; any
    thread::

        tree = p2p.dnsdisc.read_tree(p2p.networks.SEPOLIA.dns_trees[0])
        print(len(tree.nodes), "nodes, sequence number", tree.seq)

    Raises InvalidTree for a wrong URL, and without a root that is signed by the key of the URL;
    OSError if the root cannot be looked up; ConfigError if dnspython is not installed.
    """
    link = link_of(url)
    check_type("url", link, Link, "a URL or a Link")
    if on_progress is not None:
        check_function("on_progress", on_progress, "read", "known")
    check_installed()
    reader, texts = TreeReader(link, random.Random()), TextResolver(resolver)
    failure: OSError | None = None
    while (name := reader.poll_lookup()) is not None:
        try:
            found = texts.look_up(name)
        except OSError as error:
            failure = error
            reader.receive_failure(name, str(error))
        else:
            reader.receive_texts(name, found)
        if on_progress is not None:
            on_progress(reader.read, reader.known)
    if failure is not None and not reader.read:
        raise failure
    return reader.result()
