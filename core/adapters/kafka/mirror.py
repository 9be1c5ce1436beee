"""Shows a reader's offsets as those of a consumer group, for tools that measure lag. Nothing depends on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from core.adapters.kafka.connection import REQUEST_LIMIT, client_arguments, in_short, stop_consumer
from core.ports.deliveries import TopicPlace
from core.settings import Settings

EVERY = 1.0  # seconds between two commits
AGAIN = 10.0  # seconds after a failure
COMMITS_WITHIN = 2.0  # seconds

log = structlog.get_logger(__name__)


class GroupMirror:
    """Commits the offsets that were noted last, at most once a second, from a client of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._offsets: dict[TopicPlace, int] = {}
        self._committed: dict[TopicPlace, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._failed = False

    def note(self, offsets: Mapping[TopicPlace, int]) -> None:
        self._offsets.update(offsets)
        if self._committing is None:
            self._stop = asyncio.Event()
            self._committing = asyncio.create_task(self._commit())

    async def stop(self) -> None:
        """Commit what was noted last, unless that takes long, and close the client."""
        committing, self._committing = self._committing, None
        self._stop.set()
        if committing is not None:
            await asyncio.wait([committing], timeout=2 * COMMITS_WITHIN)
            committing.cancel()
            await asyncio.gather(committing, return_exceptions=True)
        self._offsets, self._committed = {}, {}

    async def _commit(self) -> None:
        while not self._stop.is_set():
            try:
                await self._commit_while_it_works()
            except Exception as error:  # noqa: BLE001 - whatever it is, only what tools show is older for a while
                if not self._failed:
                    log.warning("the consumer group cannot be shown how far it is", reason=in_short(error))
                self._failed = True
                await self._pause(AGAIN)

    async def _commit_while_it_works(self) -> None:
        client: Any = AIOKafkaConsumer(
            group_id=self._settings.consumer_group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            request_timeout_ms=REQUEST_LIMIT,
            **client_arguments(self._settings),
        )
        try:
            async with asyncio.timeout(COMMITS_WITHIN):
                await client.start()
            while True:
                stopping = self._stop.is_set()  # before the look, so that the last commit has what was noted last
                await self._commit_new(client)
                if stopping:
                    return
                await self._pause(EVERY)
        finally:
            await stop_consumer(client, COMMITS_WITHIN)

    async def _commit_new(self, client: Any) -> None:
        new = {place: offset for place, offset in self._offsets.items() if self._committed.get(place) != offset}
        if not new:
            return
        places = {TopicPartition(*place) for place in self._offsets}
        if places != client.assignment():  # a commit needs them to be the client's own; it does not read them
            client.assign(list(places))
            for place in places:
                client.seek(place, 0)
            client.pause(*places)
        # aiokafka goes on with a commit that its caller has given up, and how that ends matters to nobody.
        commit: asyncio.Future[Any] = asyncio.ensure_future(
            client.commit({TopicPartition(*place): offset for place, offset in new.items()})
        )
        commit.add_done_callback(_note_end)
        done, _ = await asyncio.wait([commit], timeout=COMMITS_WITHIN)
        if not done:
            raise TimeoutError
        commit.result()
        self._committed |= new
        self._failed = False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


def _note_end(commit: asyncio.Future[Any]) -> None:
    """Ask how it ended, since asyncio logs an error that nobody asked for."""
    if not commit.cancelled():
        commit.exception()
