"""Handshakes explained: each value is that of EIP-8, or what the connection has used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import p2p
from p2p import explain
from p2p.crypto import keccak256
from p2p.testing import RemoteListener

EIP8 = json.loads((Path(__file__).parents[1] / "testdata" / "rlpx_handshake.json").read_text())
VECTOR = EIP8["eip8"]
#: Names in the explanation, and in the vectors.
OF_EIP8 = {
    "initiator-privkey": "static_key_a",
    "initiator-pubk": "static_pubkey_a",
    "recipient-pubk": "static_pubkey_b",
    "ephemeral-privkey": "ephemeral_key_a",
    "ephemeral-pubk": "ephemeral_pubkey_a",
    "initiator-nonce": "nonce_a",
    "static-shared-secret": "static_shared_secret",
    "sig": "auth_signature",
    "recipient-ephemeral-pubk": "ephemeral_pubkey_b",
    "recipient-nonce": "nonce_b",
}
DERIVED = {"aes-secret": "aes_secret", "mac-secret": "mac_secret"}
COMPUTED = {
    "ephemeral-key": "ecdhe_shared_secret",
    "shared-secret": "shared_secret",
    # the recipient's state of one direction is the initiator's of the other
    "egress-mac": "recipient_ingress_mac_initial_digest",
    "ingress-mac": "recipient_egress_mac_initial_digest",
}


def values(explanation: explain.Explanation) -> dict[str, explain.Value]:
    return {value.name: value for section in explanation.sections for value in section.values}


@pytest.mark.parametrize("name", OF_EIP8)
def test_values_of_eip8(name):
    assert values(explain.explain_handshake())[name].shown == VECTOR[OF_EIP8[name]]


@pytest.mark.parametrize("name", [*DERIVED, *COMPUTED])
def test_secrets_of_eip8(name):
    derivation = VECTOR["derivation"]
    wanted = {**derivation, **derivation["computed_here"]}[{**DERIVED, **COMPUTED}[name]]
    assert values(explain.explain_handshake())[name].shown == wanted


@pytest.mark.parametrize(("kind", "number"), [("auth", 1), ("ack", 1)])
def test_parts_of_a_packet_are_the_packet(kind, number):
    (section,) = (s for s in explain.explain_handshake().sections if f"The {kind}" in s.title)
    part = {value.name: value.data for value in section.values}
    packet = VECTOR[kind][number]
    assert part[kind].hex() == packet["packet"]
    assert b"".join(part[each] for each in (f"{kind}-size", "R", "iv", "c", "d")) == part[kind]
    assert packet["plaintext"].startswith(part[f"{kind}-body"].hex())


@pytest.fixture
def server():
    options = {"name": "listening <node>", "max_peers": 3, "listen_addr": "127.0.0.1:0"}
    protocol = p2p.Protocol("eth", 69, 18)
    with p2p.Server(
        private_key=p2p.generate_key(), protocols=[protocol], **options
    ) as running:
        yield running


def test_handshake_with_a_node_ends_with_both_hellos(server):
    explanation = explain.explain_handshake(server.self)
    titles = [section.title for section in explanation.sections]
    assert titles[-2:] == ["The Hello of the initiator", "The Hello of the recipient"]
    theirs = {value.name: value for value in explanation.sections[-1].values}
    assert theirs["clientId"].data == "listening <node>"
    assert theirs["capabilities"].data == "eth/69"
    assert theirs["nodeKey"].data == server.self.public_key.to_bytes()
    assert theirs["header"].data[:3] == len(theirs["frame-data"].data).to_bytes(3, "big")


def test_parts_of_a_frame_decrypt_to_its_content(server):
    from p2p.crypto import ctr_streams

    explanation = explain.explain_handshake(server.self)
    aes = values(explanation)["aes-secret"].data
    for section in explanation.sections[-2:]:
        part = {value.name: value.data for value in section.values}
        stream = ctr_streams(aes)(bytes(16))
        assert stream(part["header-ciphertext"]) == part["header"]
        assert stream(part["frame-ciphertext"]).startswith(part["frame-data"])


def test_each_formula_is_its_value(server):
    """Those of the hash function, computed anew."""
    v = {name: value.data for name, value in values(explain.explain_handshake(server.self)).items()}
    nonces = keccak256(v["recipient-nonce"] + v["initiator-nonce"])
    assert v["shared-secret"] == keccak256(v["ephemeral-key"] + nonces)
    assert v["aes-secret"] == keccak256(v["ephemeral-key"] + v["shared-secret"])
    assert v["mac-secret"] == keccak256(v["ephemeral-key"] + v["aes-secret"])
    assert v["initiator-id"] == keccak256(v["initiator-pubk"])


def test_node_that_disconnects_instead_of_a_hello(server):
    with RemoteListener() as listener:
        import threading

        def refuse() -> None:
            with listener.accept() as remote:
                remote.shake_hands()
                remote.send_disconnect(p2p.DiscReason.TOO_MANY_PEERS)
                remote.expect_closed()

        thread = threading.Thread(target=refuse)
        thread.start()
        explanation = explain.explain_handshake(listener.node)
        thread.join()
    last = explanation.sections[-1]
    assert last.title == "The recipient disconnects"
    assert last.values[0].data == "0x04: too many peers"


def test_node_that_is_not_there_is_an_error():
    nobody = p2p.Node.from_parts(p2p.generate_key().public_key, "127.0.0.1", 1, 1)
    with pytest.raises(p2p.ConnectError):
        explain.explain_handshake(nobody)


def test_text_has_each_value_in_lines_of_limited_width():
    text = explain.explain_handshake().text()
    assert max(map(len, text.splitlines())) <= 120
    digits = "".join(text.split())
    for value in values(explain.explain_handshake()).values():
        assert value.shown in digits or not isinstance(value.data, bytes)


def test_page_is_whole_and_loads_nothing(server):
    page = explain.explain_handshake(server.self).html()
    assert "listening &lt;node&gt;" in page and "<script" not in page
    assert not re.search(r"(src|href|url)\s*[=(]", page)
    body = page[page.index("<body>") :].replace("</html>", "")
    tree = ElementTree.fromstring(body)
    assert len(tree.findall(".//section")) == 7
