"""A name server on loopback, by UDP, with the TXT records of "p2p dns build --format json".

    python nameserver.py records.json

It prints its address, and runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset

#: Bytes of a string of a TXT record at most.
STRING_SIZE = 255


def answer(data: bytes, records: dict[str, str]) -> bytes:
    query = dns.message.from_wire(data)
    name = query.question[0].name
    response = dns.message.make_response(query)
    text = records.get(name.to_text(omit_final_dot=True).lower())
    if text is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    else:
        parts = [text[at : at + STRING_SIZE] for at in range(0, len(text), STRING_SIZE)]
        strings = " ".join(f'"{part}"' for part in parts)
        response.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", strings))
    return response.to_wire()


def main(path: str) -> None:
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    records = {name.lower(): text for name, text in given.items()}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        print("{}:{}".format(*sock.getsockname()), flush=True)
        try:
            while True:
                data, sender = sock.recvfrom(4096)
                sock.sendto(answer(data, records), sender)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main(sys.argv[1])
