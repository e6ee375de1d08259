"""Whatever a server writes into `Retry-After`, it is a number of seconds or nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bessemer.core.retry_after import LONGEST, retry_after

DATES = st.builds(
    "Wed, {} Oct {} {}:{}:05 {}".format,
    *[st.integers(-(10**30), 10**30)] * 4,
    st.sampled_from(["GMT", "+9999999999", "-9999", "+99999999999999999999", ""]),
)


@given(st.one_of(st.text(max_size=60), st.integers(0, 10**400).map(str), DATES))
@example("Wed, 21 Oct 99999999999999999999 07:28:00 GMT")
@example("Wed, 21 Oct 2015 07:28:00 +99999999999999")
@example("Wed, 01 Jan 0001 00:00:00 +2300")
def test_no_header_ends_in_an_error(header: str) -> None:
    found = retry_after(header)
    assert found is None or 0 <= found <= LONGEST


@pytest.mark.parametrize("header", ["9" * 400, "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_never_is_a_number_too(header: str) -> None:
    assert retry_after(header) == LONGEST
