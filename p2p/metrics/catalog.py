"""The families of metrics that a server has, each once, with its names and its meaning.

Pure data. Names are those of go-ethereum where it has the metric (``p2p/metrics.go``,
``p2p/discover/metrics.go``, ``p2p/peer.go``), and else of the same form. The table in
``docs/howto/metrics.md`` is compared with this list.
"""

from __future__ import annotations

from p2p.metrics.metric import Family

#: Codes of a protocol that are counted one by one, from 0: a protocol may have 2**32 of them, and a
#: remote send each once. The rest is counted together, under this number.
MAX_CODES = 256

# traffic
INGRESS = Family(
    "p2p/ingress", "counter", "p2p_ingress_bytes_total",
    "Bytes received by TCP, of all connections",
)  # fmt: skip
EGRESS = Family(
    "p2p/egress", "counter", "p2p_egress_bytes_total",
    "Bytes given to the TCP sockets, of all connections",
)  # fmt: skip
MESSAGE_INGRESS = Family(
    "p2p/ingress/{protocol}/{version}/{code}", "counter", "p2p_message_ingress_bytes_total",
    "Bytes of the payloads received, before compression",
)  # fmt: skip
MESSAGES_IN = Family(
    "p2p/ingress/{protocol}/{version}/{code}/packets", "counter", "p2p_messages_ingress_total",
    "Messages received",
)  # fmt: skip
MESSAGE_EGRESS = Family(
    "p2p/egress/{protocol}/{version}/{code}", "counter", "p2p_message_egress_bytes_total",
    "Bytes of the payloads sent, before compression",
)  # fmt: skip
MESSAGES_OUT = Family(
    "p2p/egress/{protocol}/{version}/{code}/packets", "counter", "p2p_messages_egress_total",
    "Messages sent",
)  # fmt: skip

# handlers and queues
HANDLE = Family(
    "p2p/handle/{protocol}/{version}/{code}", "histogram", "p2p_handle_seconds",
    "Seconds from a message read by a handler to its next read, for the first of each batch",
)  # fmt: skip
TRACKED = Family(
    "p2p/tracked/{protocol}/{version}/{code}", "gauge", "p2p_requests_tracked",
    "Requests that wait for their reply",
)  # fmt: skip
LOST_REQUESTS = Family(
    "p2p/lost/{protocol}/{version}/{code}", "counter", "p2p_requests_lost_total",
    "Requests whose time was over, or whose connection ended, before a reply",
)  # fmt: skip
STALE = Family(
    "p2p/stale/{protocol}/{version}", "counter", "p2p_replies_stale_total",
    "Replies that were late, or to no request",
)  # fmt: skip
WAIT = Family(
    "p2p/wait/{protocol}/{version}/{code}", "histogram", "p2p_requests_wait_seconds",
    "Seconds from a request to its reply",
)  # fmt: skip
INBOX = Family(
    "p2p/queue/inbox/{protocol}/{version}", "gauge", "p2p_inbox_messages",
    "Messages received and not read yet, of all peers",
)  # fmt: skip
INBOX_BYTES = Family(
    "p2p/queue/inbox/{protocol}/{version}/bytes", "gauge", "p2p_inbox_bytes",
    "Memory of these messages in bytes",
)  # fmt: skip
INBOX_FULL = Family(
    "p2p/queue/inbox/{protocol}/{version}/full", "gauge", "p2p_inbox_full",
    "Peers that are not read from until their handler has read",
)  # fmt: skip
OUTBOX = Family(
    "p2p/queue/outbox", "gauge", "p2p_outbox_messages",
    "Messages written and not framed yet, of all peers",
)  # fmt: skip
OUTBOX_BYTES = Family(
    "p2p/queue/outbox/bytes", "gauge", "p2p_outbox_bytes",
    "Memory of these messages in bytes",
)  # fmt: skip
POSTED = Family(
    "p2p/queue/io", "gauge", "p2p_io_queue",
    "Functions that wait for the I/O thread",
)  # fmt: skip

# peers and connections
PEERS = Family("p2p/peers", "gauge", "p2p_peers", "Connected peers")
PEERS_INBOUND = Family("p2p/peers/inbound", "gauge", "p2p_peers_inbound", "Peers that dialed us")
PEERS_OUTBOUND = Family("p2p/peers/outbound", "gauge", "p2p_peers_outbound", "Peers we dialed")
SERVES = Family(
    "p2p/serves", "counter", "p2p_serves_total",
    "Inbound connections accepted",
)  # fmt: skip
SERVES_PENDING = Family(
    "p2p/serves/pending", "gauge", "p2p_serves_pending",
    "Inbound connections in their handshake",
)  # fmt: skip
SERVES_SUCCESS = Family(
    "p2p/serves/success", "counter", "p2p_serves_success_total",
    "Inbound connections that became peers",
)  # fmt: skip
SERVES_LASTING = Family(
    "p2p/serves/success/1min", "counter", "p2p_serves_success_1min_total",
    "Inbound peers that have stayed for a minute",
)  # fmt: skip
SERVES_ERROR = Family(
    "p2p/serves/error/{kind}", "counter", "p2p_serves_error_total",
    "Inbound connections that failed in their handshake",
)  # fmt: skip
SERVES_REFUSED = Family(
    "p2p/serves/refused/{reason}", "counter", "p2p_serves_refused_total",
    "Inbound connections closed by a limit of ours before their handshake was over",
)  # fmt: skip
DIALS = Family("p2p/dials", "counter", "p2p_dials_total", "Dials begun")
DIALS_PENDING = Family("p2p/dials/pending", "gauge", "p2p_dials_pending", "Dials under way")
DIALS_SUCCESS = Family(
    "p2p/dials/success", "counter", "p2p_dials_success_total",
    "Dialed connections that became peers",
)  # fmt: skip
DIALS_LASTING = Family(
    "p2p/dials/success/1min", "counter", "p2p_dials_success_1min_total",
    "Dialed peers that have stayed for a minute",
)  # fmt: skip
DIALS_ERROR = Family(
    "p2p/dials/error/{kind}", "counter", "p2p_dials_error_total",
    "Dials that failed",
)  # fmt: skip
DIALS_REFUSED = Family(
    "p2p/dials/refused/{reason}", "counter", "p2p_dials_refused_total",
    "Nodes that were not dialed when they could have been, by the reason",
)  # fmt: skip
NAT_MAPPED = Family(
    "p2p/nat/mapped", "gauge", "p2p_nat_mapped_ports",
    "Ports that a router has mapped, with the option nat",
)  # fmt: skip
LAN_NODES = Family(
    "p2p/lan/nodes", "gauge", "p2p_lan_nodes",
    "Nodes of the local network that are known, with the option lan_discovery",
)  # fmt: skip

# discovery
DISCOVER_INGRESS = Family(
    "discover/ingress", "counter", "p2p_discover_ingress_bytes_total",
    "Bytes of valid packets received, of both versions",
)  # fmt: skip
DISCOVER_EGRESS = Family(
    "discover/egress", "counter", "p2p_discover_egress_bytes_total",
    "Bytes of packets sent, of both versions",
)  # fmt: skip
BUCKET = Family(
    "discover/bucket/{bucket}/count", "gauge", "p2p_discover_bucket_nodes",
    "Nodes in a bucket of the table, the nearest is 0, of both versions",
)  # fmt: skip
TABLE_NODES = Family(
    "discover/{version}/nodes", "gauge", "p2p_discover_nodes",
    "Nodes in the table",
)  # fmt: skip
TABLE_LIVE = Family(
    "discover/{version}/nodes/live", "gauge", "p2p_discover_nodes_live",
    "Nodes in the table that have answered",
)  # fmt: skip
PACKETS_IN = Family(
    "discover/{version}/ingress/{kind}/packets", "counter", "p2p_discover_packets_ingress_total",
    "Valid packets received",
)  # fmt: skip
PACKETS_OUT = Family(
    "discover/{version}/egress/{kind}/packets", "counter", "p2p_discover_packets_egress_total",
    "Packets sent",
)  # fmt: skip
DROPPED = Family(
    "discover/{version}/dropped/{reason}", "counter", "p2p_discover_dropped_total",
    "Datagrams dropped, by the reason",
)  # fmt: skip
TIMEOUTS = Family(
    "discover/{version}/timeouts", "counter", "p2p_discover_timeouts_total",
    "Requests without an answer",
)  # fmt: skip
LOST = Family(
    "discover/lost/{error}", "counter", "p2p_discover_lost_total",
    "Datagrams that the system refused to send, by the name of its error",
)  # fmt: skip

#: All of them, in the order above.
FAMILIES = tuple(value for value in list(globals().values()) if isinstance(value, Family))
