"""One rule for every text: any script is right, and what cannot be seen or moves its neighbours is refused."""

from __future__ import annotations

import unicodedata

import pytest

from core.domain.validation import composed, tidy, wrong_text

RIGHT = [
    "José Ñandú", "Ångström", "東京都\u3000千代田区", "葛\U000e0100飾区", "محمد بن سلمان", "Nguyễn Văn A", "ผ้า",
    "می\u200cخو\u0627\u0647م", "क्\u200dष", "ශ්\u200dරී", "Ⅻ", "O'Brien & Søn", "👨\u200d👩\u200d👧", "❤\ufe0f",
    "1\ufe0f⃣", "👩🏽\u200d🚀", "x\u00a0y", " padded ", "\U0001fae9", "a/b", "..", "%2F", "a;b", "<script>",
    "'; DROP TABLE orders; --", "\\", "{}", "=1+1",
]  # fmt: skip
REFUSED = {
    "override": "a\u202eb", "embedding": "a\u202ab", "isolate": "a\u2066b", "mark to the right": "a\u200eb",
    "mark to the left": "a\u200fb", "Arabic mark": "a\u061cb", "zero width space": "a\u200bb",
    "word joiner": "a\u2060b", "byte order mark": "a\ufeffb", "soft hyphen": "a\u00adb",
    "joiner between Latin letters": "a\u200db",
    "non-joiner between Latin letters": "a\u200cb", "joiner at the start": "\u200da", "joiner at the end": "م\u200c",
    "two joiners": "م\u200c\u200cم", "selector after a letter": "a\ufe0fb", "two selectors": "❤\ufe0f\ufe0f",
    "tag characters": "a\U000e0041\U000e007f", "language tag": "a\U000e0001", "Hangul filler": "a\u3164",
    "combining joiner": "a\u034fb", "Braille blank": "a\u2800", "Mongolian separator": "a\u180eb",
    "operator": "a\u2061b",
    "private use": "a\ue000", "private plane": "a\U000f0000", "last private plane": "a\U0010fffd",
    "noncharacter": "a\ufdd0", "noncharacter at the end": "a\uffff", "noncharacter of a plane": "a\U0001fffe",
    "interlinear": "a\ufff9b", "unassigned and ignorable": "a\u2065b",
}  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_a_text_of_any_script_is_right_and_stays_so_when_it_is_composed(text: str) -> None:
    assert wrong_text(text, 100) is None
    assert wrong_text(composed(unicodedata.normalize("NFD", text)), 100) is None
    assert tidy(text) == " ".join(composed(text).split())


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_a_text_with_a_character_that_nobody_sees_is_refused_and_the_character_named(text: str) -> None:
    why = wrong_text(text, 100)
    assert why is not None
    assert why.startswith("must not contain the character U+")
    assert wrong_text(tidy(text), 300) is None


def test_no_character_of_unicode_makes_the_rule_fail_or_take_what_it_should_refuse() -> None:
    unified = {*range(0x3400, 0x9F00), *range(0xAC00, 0xD700)}  # one like the other
    planes = range(0x10000, 0x110000)
    for number in [*(set(range(0x10000)) - unified), *planes[::61], *(n for n in planes if n & 0xFFFE == 0xFFFE)]:
        character = chr(number)
        right = wrong_text(f"é{character}é", 9) is None
        category = unicodedata.category(character)
        if category in {"Cc", "Cs", "Co", "Zl", "Zp"} or (number & 0xFFFE) == 0xFFFE:
            assert not right, f"U+{number:04X}"
        elif category[0] in "LNPS" and number not in {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800}:
            assert right, f"U+{number:04X}"


def test_the_same_name_written_in_two_unicode_forms_is_one_text() -> None:
    assert composed("Zoe\u0308") == composed("Zoë") == "Zoë"
    assert composed("e" + "\u0301\u0323" * 5_000) == "e" + "\u0301\u0323" * 5_000  # too long for any field
