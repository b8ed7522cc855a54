"""Discovery v4: its packets, endpoint proofs, requests, engine, and front.

===============  ===================================================================
`packet`         packets as values, and their data in RLP
`wire`           packets as datagrams: hash and signature
`bonds`          endpoint proofs
`amplification`  the limit on answers to unproven addresses
`sender`         our packets, within that limit
`requests`       requests, and the answers that belong to them
`transport`      requests of the shared parts
`skew`           answers that show a wrong clock
`engine`         the engine: rules for received packets
`udpv4`          the front for programs
===============  ===================================================================
"""
