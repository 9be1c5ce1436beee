"""The sagas. An instance finishes on the definition it started with, so old tables stay here."""

from __future__ import annotations

from collections.abc import Mapping

from core.sagas.fulfil_order import FULFIL_ORDER
from core.sagas.saga import Saga
from core.sagas.settle_order import SETTLE_ORDER
from core.sagas.unwind_order import UNWIND_ORDER, UNWIND_ORDER_1

SAGAS: Mapping[tuple[str, int], Saga] = {
    (saga.name, saga.definition): saga for saga in (FULFIL_ORDER, SETTLE_ORDER, UNWIND_ORDER_1, UNWIND_ORDER)
}
