"""Texts of a provider, a bank or a library are made fit to be stored and shown before they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.validation import tidy, wrong_text

ANY_CHARACTERS = st.text(st.characters(codec=None) | st.sampled_from("\x00\ud800\u200b\u2028\x1b "), max_size=40)


@given(ANY_CHARACTERS, st.integers(20, 50))
def test_any_text_of_a_provider_becomes_one_that_validation_accepts(words: str, longest: int) -> None:
    assert wrong_text(tidy(words, longest), longest) is None


@given(ANY_CHARACTERS)
def test_a_clean_text_of_a_provider_stays_as_it_is(words: str) -> None:
    assert tidy(tidy(words)) == tidy(words)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("card declined", "card declined"),
        ("  card\r\n\tdeclined\x00 ", "card declined"),
        ("", "no reason given"),
        (" \n", "no reason given"),
        ("\u200b\ufeff", "no reason given"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_a_text_of_a_provider_is_kept_without_control_characters_and_cut_to_300(words: str, kept: str) -> None:
    assert tidy(words) == kept
