"""Customers are found by their own reference and by their pseudonym, also by many callers at once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from core.adapters.postgres.connection import Link
from core.adapters.postgres.customer_keys import PostgresCustomerKeys
from core.domain.sealed_customer import pseudonym_of
from tests.support.opener import Opener


async def test_many_customers_are_found_at_once_each_by_any_of_the_names_that_are_left(opener: Opener) -> None:
    link = Link(opener)
    keys = PostgresCustomerKeys(link)
    mila, erased = await asyncio.gather(*map(keys.key_for, ("mila", "erased")))
    assert await keys.destroy(erased.pseudonym)
    names = ["mila", pseudonym_of(mila.pseudonym), "erased", pseudonym_of(erased.pseudonym), "nobody"]
    names += [pseudonym_of(uuid4()), "sealed:", "mila"]
    found = await asyncio.gather(*map(keys.find, names))
    link.close()
    assert found == [mila.pseudonym, mila.pseudonym, None, erased.pseudonym, None, None, None, mila.pseudonym]
