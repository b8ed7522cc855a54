"""Discovery v5.1: encrypted packets, sessions, requests, engine, and front.

===============  ===================================================================
`packet`         the layout of a datagram, with its masked header
`message`        messages as values, and their encoding
`fields`         the fields of messages, and their bounds
`keys`           key agreement and signature of the handshake
`sessions`       keys shared with nodes, and the messages under them
`handshakes`     challenges, and the answers to them
`requests`       requests, and the responses that belong to them
`transport`      requests of the shared parts
`operations`     commands: those of all protocols, find_node, talk and find_topic
`engine`         the engine: rules for received packets
`topics`         topics: nodes of a service find each other
`talk`           handlers of talk requests, and their threads
`udpv5`          the front for programs
`advertisement`  a topic that a program advertises
===============  ===================================================================
"""
