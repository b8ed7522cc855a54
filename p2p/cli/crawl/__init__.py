"""The crawler: every node of a network that answers, and what it says of itself.

==========  ==========================================================================
`options`   the options of a crawl
`schedule`  whom to ask what, and when; pure, so that a test runs it on simulated time
`targets`   targets of discovery v4 at a wanted distance from a node
`greeter`   hellos of RLPx, by one server for all
`crawler`   the threads that ask
`results`   nodes.json and SQLite, from which a crawl is resumed
`summary`   the counts of a report; pure
`command`   the commands ``p2p crawl`` and ``p2p discv4 | discv5 crawl``
==========  ==========================================================================
"""
