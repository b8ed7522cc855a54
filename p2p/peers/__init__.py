"""Peers: from a connection to a peer with its handlers, and back to its end.

==============  ====================================================================
`peerset`       the connections of a server, and the admission of new ones
`admission`     rules for accepting connections and peers
`session`       one TCP connection, from its first byte to its last
`phase`         phases of a session and their transitions, and its end
`collision`     two nodes that dial each other: which connection stays
`holds`         sessions held in their handshake by a collision
`peer`          a connected node and its read-writers, as a program uses them
`traffic`       bytes and messages of a connection
`handlers`      the threads of handlers, and handlers that linger
`endings`       the end of a handler, and its effect on the connection
`stalls`        warnings about handlers that do not read or return
`backlog`       peers that wait for ``Server.accept``
`event`         events for subscribers
==============  ====================================================================
"""
