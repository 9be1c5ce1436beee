"""Writes docs/reference/asyncapi.yaml: `python -m tests.support.async_api`."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import yaml

from core.adapters.kafka.async_api import document

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.yaml"


def page() -> str:
    return yaml.safe_dump(document(version("orderdeck")), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
