"""Builds generations of read models as a builder does, in the process of the test."""

from __future__ import annotations

import asyncio
from typing import Any

from core.adapters.postgres.connection import Connection
from core.adapters.postgres.generation_rows import open_generation_rows
from core.adapters.postgres.generations import PostgresGenerations, opened_in
from core.adapters.postgres.read_models.store import PostgresReadModels
from core.adapters.postgres.subscription import PostgresSubscription
from core.audit.generation_check import differs
from core.ports.generations import Generation
from core.projections.projection import Group
from core.services.build_generation import GenerationBuild
from tests.support.opener import Opener

SHAPES = """
SELECT c.relname, c.relkind::text, c.reloptions, c.relacl::text, pg_get_indexdef(c.oid),
       (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
       (SELECT array_agg(pg_get_statisticsobjdef(s.oid) ORDER BY 1) FROM pg_statistic_ext s
         WHERE s.stxrelid = c.oid AND s.stxnamespace = c.relnamespace)
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1
"""
"""What the live tables are like: their indexes, statistics, options and rights."""


async def build(daemon: Opener, generations: PostgresGenerations, group: Group[Any], generation: Generation) -> None:
    """Do what a builder does with one generation, until there is nothing more to do. It compares every row."""

    async def open_() -> Connection:
        return await opened_in(daemon, generation.id)

    async def check(_: Generation) -> str:
        async with open_generation_rows(open_, group, f"{group.reader}@{generation.id}") as rows:
            return await differs(rows, group, all_=True)

    read_models = PostgresReadModels(open_, group, generation.id)
    try:
        building = GenerationBuild(
            generation, group, read_models, generations, lambda: PostgresSubscription(daemon), check
        )
        async with asyncio.timeout(60):
            await building.run(asyncio.Event())
    finally:
        read_models.close()


async def build_all(daemon: Opener, group: Group[Any]) -> None:
    """Build what is asked for of a group."""
    generations = PostgresGenerations(daemon)
    try:
        for one in await generations.unfinished():
            if one.reader == group.reader:
                await build(daemon, generations, group, one)
    finally:
        generations.close()
