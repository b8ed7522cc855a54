"""The commands ``p2p discv4`` and ``p2p discv5``: questions to the nodes of a network.

===========  =======================================================================
`command`    the commands of both protocols
`ownnode`    our own node for a command, with its options
`lookup`     the command ``lookup``, and the run that shows each hop
`walk`       a lookup that keeps its steps; pure
`drawing`    a lookup as SVG; pure
===========  =======================================================================
"""
