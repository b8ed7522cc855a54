"""Files that commands share with go-ethereum's ``devp2p``, and with each other.

===========  =======================================================================
`nodes`      a set of nodes: nodes.json
`tree`       a node list of DNS: a folder with a file for each part
`lock`       a lock for the time in which a command owns a file
===========  =======================================================================
"""
