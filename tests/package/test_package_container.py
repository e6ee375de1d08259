"""The container: one way to write it, and nothing else is read."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import FormatError, IntegrityError
from bessemer.package.container import check_name, in_order, pack, unpack

MEMBERS = {
    "manifest.json": b"{}",
    "manifest.sig": b"s" * 96,
    "native/trees.txt": b"tree\n" * 50,
    "b.json": b"",
}
DATA = b"".join(pack(MEMBERS))

names = st.from_regex(r"[a-z0-9_]{1,8}(/[a-z0-9_]{1,8})?(\.[a-z]{1,4})?", fullmatch=True)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(names, st.binary(max_size=300), max_size=8))
def test_what_goes_in_comes_out_and_any_zip_tool_reads_it(members: dict[str, bytes]) -> None:
    data = b"".join(pack(members))
    if not members:
        with pytest.raises(FormatError):
            unpack(data)
        return
    assert {name: bytes(content) for name, content in unpack(data).items()} == members
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        assert z.testzip() is None
        assert z.namelist() == in_order(members)
        assert {name: z.read(name) for name in z.namelist()} == members


def test_the_same_members_give_the_same_bytes_in_any_order() -> None:
    assert b"".join(pack(dict(reversed(MEMBERS.items())))) == DATA


@given(st.data())
def test_no_changed_byte_is_read(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(DATA) - 1))
    other = data.draw(st.integers(1, 255))
    changed = bytearray(DATA)
    changed[place] ^= other
    with pytest.raises((FormatError, IntegrityError)):
        unpack(bytes(changed))


@given(st.integers(0, len(DATA) - 1))
def test_no_truncated_file_is_read(length: int) -> None:
    with pytest.raises(FormatError):
        unpack(DATA[:length])


@pytest.mark.parametrize(
    "data", [DATA + b"x", b"x" + DATA, DATA + DATA, DATA[:-22] + b"PK\x05\x06" + bytes(18)]
)
def test_nothing_stands_before_or_after(data: bytes) -> None:
    with pytest.raises(FormatError):
        unpack(data)


@given(st.binary(max_size=200), st.booleans())
def test_noise_is_refused(noise: bytes, start: bool) -> None:
    with pytest.raises(FormatError):
        unpack(b"PK\x03\x04" + noise if start else noise)


def zipped(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            z.writestr(info, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (zipped([("bomb.json", bytes(10_000_000))], zipfile.ZIP_DEFLATED), "is compressed"),
        (zipped([("../../etc/passwd", b"x")]), "unsafe name"),
        (zipped([("/etc/passwd", b"x")]), "unsafe name"),
        (zipped([("c:\\windows", b"x")]), "unsafe name"),
        (zipped([("folder/", b"")]), "unsafe name"),
        (zipped([("a.json", b"x")]), "directory entry"),
    ],
)
def test_hostile_and_ordinary_zips_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError) as caught:
        unpack(data)
    assert why in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused() -> None:
    """As our writer would lay them out, so that only the names are wrong."""
    one, other = (b"".join(pack({"a": bytes([i])})) for i in (1, 2))
    local = len(one) - 22 - 47
    from bessemer.package.container import Entry, _tail

    entries = [Entry("a", 0xA505DF1B, 1, 0), Entry("a", 0x3C0C8EA1, 1, local)]
    with pytest.raises(FormatError, match="not a package as Bessemer writes it") as caught:
        unpack(one[:local] + other[:local] + _tail(entries, 2 * local))
    assert "two members named 'a'" in caught.value.why


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "./a", "a//b", "/a", "a/", "A", "é", "a b", "a\n", "x" * 300]
)
def test_unsafe_names(name: str) -> None:
    with pytest.raises(FormatError):
        check_name(name)


def test_too_many_members_are_not_written() -> None:
    with pytest.raises(FormatError, match="too large"):
        list(pack({f"m{i}": b"" for i in range(1001)}))
