"""Port mappings and our external address: NAT-PMP, PCP, UPnP, STUN.

===============  ===================================================================
`gateway`        the interface of a router that maps ports; its error, its interruption
===============  ===================================================================
"""
