"""Node lists in DNS: trees of signed TXT records (EIP-1459, devp2p "dnsdisc").

Pure, except the front and the resolver.

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
