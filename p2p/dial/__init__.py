"""Dials: the choice of nodes and times, each dial, and its outcome.

=================  =================================================================
`scheduler`        the choice of nodes to dial, and the time of each dial
`limits`           limits: time, backoff, nodes per network
`dials`            all dials under way, and the callers of ``Server.connect``
`endpoints`        the endpoints at which a node is dialed
`dial`             one dial, from the host name to the peer
`failures`         the error of each kind of failure
`attempts`         the log of attempts, for ``Server.dial_attempts``
`candidates`       sources of nodes to dial: discovery, and those of protocols
`candidatefilter`  the program's choice among nodes that were found
`filterthread`     the thread that runs its function
`verdicts`         the results
`searchreport`     the log line "looking for peers"
=================  =================================================================
"""
