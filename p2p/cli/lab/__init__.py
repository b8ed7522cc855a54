"""``p2p lab``: experiments with whole networks, described by a file.

===============  ===================================================================
`command`        the commands
`settings`       keys and values of a file, with their errors
`network`        the table ``[network]`` of a file, and the lab that it makes
`experiments`    the experiments by name
`rumour`         how a rumour spreads
`tables`         how discovery fills tables
`eclipse`        what an eclipse attacker gets
`attack`         the network of that attacker
`slots`          the victim's slots, with servers
===============  ===================================================================
"""
