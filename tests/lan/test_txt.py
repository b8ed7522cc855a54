"""The TXT record of an announced node, also from a host that makes its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.enr import Record
from p2p.enr.layout import SIZE_LIMIT, format_text
from p2p.errors import InvalidNode
from p2p.lan.txt import MAX_SIZE, STRING_SIZE, record_of, txt_of
from tests.lan.kit import KEY, record


def largest() -> Record:
    for size in range(SIZE_LIMIT, 0, -1):
        try:
            return record(filler=bytes([1]) * size)
        except ValueError:
            continue
    raise AssertionError


def strings_of(txt: bytes) -> list[bytes]:
    found = []
    while txt:
        found.append(txt[1 : 1 + txt[0]])
        txt = txt[1 + txt[0] :]
    return found


def joined(*strings: str) -> bytes:
    encoded = [string.encode("latin-1") for string in strings]
    return b"".join(bytes([len(string)]) + string for string in encoded)


@pytest.mark.parametrize("given_record", [record(), largest()], ids=["usual", "largest"])
def test_record_is_read_back(given_record: Record) -> None:
    assert record_of(txt_of(given_record)) == given_record


def test_strings_of_the_largest_record_are_no_longer_than_dns_allows() -> None:
    assert len(largest().to_rlp()) == SIZE_LIMIT
    strings = strings_of(txt_of(largest()))
    assert max(map(len, strings)) == STRING_SIZE
    assert [string.partition(b"=")[0] for string in strings] == [b"txtvers", b"enr", b"enr2"]


def test_a_small_record_has_one_string() -> None:
    small = Record.sign(KEY, 1)
    assert strings_of(txt_of(small)) == [b"txtvers=1", f"enr={small.to_text()}".encode()]


def test_other_strings_are_ignored_and_the_first_of_a_key_counts() -> None:
    text = Record.sign(KEY, 1).to_text()
    txt = joined("txtvers=1", "", "=x", "flag", "path=/", f"ENR={text}", "enr=enr:AAAA")
    assert record_of(txt).to_text() == text


FORGED = format_text(record().to_rlp().replace(b"tcp\x82v_", b"tcp\x82v\x60"))


@pytest.mark.parametrize(
    ("txt", "words"),
    [
        (b"", "without txtvers"),
        (joined("txtvers=2", f"enr={Record.sign(KEY, 1).to_text()}"), "without txtvers=1"),
        (joined("txtvers=1"), "without a node record"),
        (joined("txtvers=1", "enr"), "without a node record"),
        (joined("txtvers=1", "enr=hello"), "missing 'enr:' prefix"),
        (joined("txtvers=1", "enr2=" + Record.sign(KEY, 1).to_text()[4:]), "missing 'enr:'"),
        (joined("txtvers=1", "enr=enr:\xff\x1b[2J"), "illegal base64"),
        (joined("txtvers=1", f"enr={FORGED[:251]}", f"enr2={FORGED[251:]}"), "signature"),
        (joined("txtvers=1", "enr=enr:" + "A" * 240, "enr2=" + "A" * 250), "more than 300"),
        (txt_of(record())[:-1], "ends within a string"),
        (b"\0" * (MAX_SIZE + 1), f"more than {MAX_SIZE}"),
    ],
)
def test_anything_else_is_refused(txt: bytes, words: str) -> None:
    with pytest.raises(InvalidNode, match=words) as error:
        record_of(txt)
    assert str(error.value).isprintable()


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(txt: bytes) -> None:
    with pytest.raises(InvalidNode):
        record_of(txt)
