"""Requests: their IDs, and the responses that are read."""

from __future__ import annotations

import random

from p2p.discover.table.bucket import BUCKET_SIZE
from p2p.discover.v5.fields import MAX_RECORD_BYTES
from p2p.discover.v5.message import MAX_REQUEST_ID_SIZE
from p2p.discover.v5.requests import MAX_RESPONSES, new_request_id
from p2p.enr.layout import SIZE_LIMIT


def test_request_id_does_not_begin_with_zero() -> None:
    # @chainsafe/discv5 up to version 11 reads it as a number, and answers without leading zeros.
    assert new_request_id(bytes) == b"\x01" + bytes(MAX_REQUEST_ID_SIZE - 1)
    chance = random.Random(1)
    ids = [new_request_id(chance.randbytes) for _ in range(1000)]
    assert {len(request_id) for request_id in ids} == {MAX_REQUEST_ID_SIZE}
    assert all(request_id[0] for request_id in ids) and len(set(ids)) == len(ids)


def test_all_responses_with_the_largest_records_are_read() -> None:
    assert MAX_RESPONSES * (MAX_RECORD_BYTES // SIZE_LIMIT) >= BUCKET_SIZE
