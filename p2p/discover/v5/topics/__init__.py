"""Topics (TopDisc): nodes of a service find each other on the whole network.

=============  ===================================================================
`registrar`    the registrar: decides about registrations, answers queries
=============  ===================================================================
"""
