"""Topics (TopDisc): nodes of a service find each other on the whole network.

=============  ===================================================================
`topics`       all of it at one node: what the engine has
`advertiser`   the ads of our own: where, and when again
`discoverer`   a search: which registrars to ask, and until when
`table`        nodes by their distance from a topic
`usability`    nodes that rest after failures
`registrar`    the registrar: decides about registrations, answers queries
`adcache`      the ads that a registrar has admitted
`waiting`      the waiting-time function, with its lower bounds
`lowerbound`   a lower bound of a waiting time
`iptree`       the similarity of an address to those of the ads
`ticket`       tickets: the time that an ad has waited
=============  ===================================================================
"""
