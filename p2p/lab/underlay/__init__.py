"""The networks beneath the servers of a lab: in memory, or over loopback, with links between hosts.

==============  ====================================================================
`links`         the quality of each direction between two hosts, and partitions
`deliveries`    bytes and datagrams under way, by the time at which they arrive
`pipe`          one direction of a stream in memory
`stream`        a stream in memory, as a socket
`listening`     a listening socket in memory
`datagrams`     a datagram socket in memory
`host`          a machine of a network in memory: its ports
`network`       a network in memory
`loopback`      a network over loopback, with links
`linked`        the common part of both
`waiting`       whether a thread waits for another one
`memorysocket`  the common part of the sockets in memory
`clock`         simulated time, from event to event
==============  ====================================================================
"""
