"""Identifiers of topics: names of services in the space of node IDs.

Pure. A topic is 32 bytes, and an application chooses them freely (discv5-theory, "Services and
Service Identifiers"). Here a topic that is given as text has the SHA-256 of its UTF-8 form as its
identifier, so that all programs of a service find each other by its name.
"""

from __future__ import annotations

from hashlib import sha256

from p2p.arguments import BYTES, check_type, wrong

#: Size of an identifier, in bytes.
TOPIC_ID_SIZE = 32
_WANTED = f"the name of a topic, or its identifier of {TOPIC_ID_SIZE} bytes"


def topic_id(topic: str | bytes, name: str = "topic") -> bytes:
    """Return the identifier of a topic: that of a name, or the given one of 32 bytes.

    Raises ArgumentError for a name that is empty or not printable, and for bytes of another length;
    ``name`` is that of the argument in the error.
    """
    check_type(name, topic, (str, *BYTES), _WANTED)
    if isinstance(topic, str):
        if not topic or not topic.isprintable():
            raise wrong(name, topic, _WANTED)
        return sha256(topic.encode()).digest()
    identifier = bytes(topic)
    if len(identifier) != TOPIC_ID_SIZE:
        raise wrong(name, identifier, _WANTED)
    return identifier
