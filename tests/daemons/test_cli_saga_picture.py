"""`orderdeck saga show ID --picture` and `--svg FILE` draw the saga that the query API answers."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import msgspec
import pytest

from daemons.cli import sagas
from tests.support.hostile_service import answer, hostile_service
from tests.support.pictured_sagas import STUCK


def test_the_picture_of_a_saga_is_printed_and_written_into_a_file_that_only_its_owner_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn, there_before = tmp_path / "saga.svg", tmp_path / "old.svg"
    there_before.write_text("what was in it before, which is longer than any picture " * 1_000)
    with hostile_service() as service:
        monkeypatch.setenv("ORDERDECK_QUERY_URL", service.url)
        service.will(answer(msgspec.json.encode(STUCK), Connection="close"))
        sagas.show(STUCK.saga_id, picture=True)
        text = capsys.readouterr().out
        for file in (drawn, there_before):
            sagas.show(STUCK.saga_id, svg=file)
            assert str(file) in capsys.readouterr().out
            assert file.read_text().endswith("</svg>\n")
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with pytest.raises(SystemExit, match="cannot be written: No such file or directory"):
            sagas.show(STUCK.saga_id, svg=tmp_path / "nowhere" / "saga.svg")
        service.will(answer(json.dumps([1]).encode(), Connection="close"))
        with pytest.raises(Exception, match="cannot read"):
            sagas.show(STUCK.saga_id, picture=True)
    assert "► void_payment" in text
    assert "! 1299.00 USD may be authorised" in text
    assert "Done when:  void the payment, release the stock" in text
