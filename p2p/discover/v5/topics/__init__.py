"""Topics (TopDisc): nodes of a service find each other on the whole network.

=============  ===================================================================
`table`        nodes by their distance from a topic
`usability`    nodes that rest after failures
=============  ===================================================================
"""
