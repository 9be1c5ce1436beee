"""A tracer that keeps its spans, for tests to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core import tracing

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class FakeSpan:
    name: str
    parent: str
    links: Sequence[str] = ()
    ended: bool = False
    error: str = ""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def traceparent(self) -> str:
        return f"00-{self.parent[3:35]}-{abs(hash(self.name)) % 10**16:016d}-01"

    def note(self, name: str, value: tracing.Note) -> None:
        self.notes[name] = value

    def rename(self, name: str) -> None:
        self.name = name

    def end(self, error: str = "") -> None:
        assert not self.ended
        self.ended, self.error = True, error


class FakeTracer:
    """Records the traces that are sampled, and every new one."""

    def __init__(self) -> None:
        self.spans: list[FakeSpan] = []

    def takes_part(self, traceparent: str) -> bool:
        return traceparent.endswith("1")

    def root(self, name: str, kind: tracing.Kind) -> FakeSpan:  # noqa: ARG002 - as the protocol has it
        return self.begin(name, GIVEN.replace("0af7", "beef"))

    def begin(
        self,
        name: str,
        parent: str,
        *,
        kind: tracing.Kind = "internal",  # noqa: ARG002 - as above
        links: Sequence[str] = (),
        notes: Mapping[str, tracing.Note] | None = None,
    ) -> FakeSpan:
        self.spans.append(FakeSpan(name, parent, links, notes=dict(notes or {})))
        return self.spans[-1]

    def close(self) -> None:
        pass


def trace(number: int) -> str:
    return f"00-{number:032x}-b7ad6b7169203331-01"
