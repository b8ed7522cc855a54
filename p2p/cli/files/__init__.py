"""Files that commands share with go-ethereum's ``devp2p``.

===========  =======================================================================
`nodes`      a set of nodes: nodes.json
`tree`       a node list of DNS: a folder with a file for each part
===========  =======================================================================
"""
