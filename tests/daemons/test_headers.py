"""Headers with bytes that are no UTF-8: two callers are not taken for one, and nobody's key for another's."""

from __future__ import annotations

import pytest

from core.tracing import read_traceparent
from daemons.http.headers import on_the_wire, one_header
from daemons.http.problems import RequestRefused

NAMES = ("Idempotency-Key", "If-Match", "Last-Event-ID", "Orderdeck-Actor", "X-Request-Id", "Content-Type")


@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_is_no_utf8_is_refused_as_no_text(name: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        one_header([(on_the_wire(name), "Zoë".encode("latin-1"))], name)
    assert refused.value.status == 400
    assert [(wrong.field, wrong.message) for wrong in refused.value.fields] == [(name, "must be UTF-8")]


def test_the_name_of_an_actor_may_have_any_letters_in_utf8() -> None:
    assert one_header([(b"orderdeck-actor", " Zoë ".encode())], "Orderdeck-Actor") == "Zoë"


def test_a_traceparent_that_is_no_ascii_counts_as_missing() -> None:
    assert read_traceparent(["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é".encode("latin-1")]) is None
