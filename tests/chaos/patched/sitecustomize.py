"""Read by every Python that starts with this folder on its path: it switches a guard of the daemons off."""

from __future__ import annotations

import os

match os.environ.get("CHAOS_MUTANT"):
    case "provider-key":
        from uuid import uuid4

        from core.domain.message import payment_of
        from core.sagas import record
        from core.sagas.saga import Instance

        def a_new_one_each_time(instance: Instance, *_: object) -> str:
            return f"{payment_of(instance.order_id)}:{uuid4()}"

        record.provider_key = a_new_one_each_time
    case "checkpoint":
        from core.adapters.postgres.read_models import store

        # Either of the two keeps a projector that was frozen from saving, so both are left out.
        comparison = "AND position = $2 AND epoch = $4"
        assert store.SAVE.count(comparison) == 1, "say here what the guard is by now"
        store.SAVE = store.SAVE.replace(comparison, "AND $2::bigint >= 0 AND $4::bigint >= 0")
    case "fencing":
        from core.services.sagas.runner import SagaRunner

        async def let_go_of_nothing(self: SagaRunner) -> None:
            pass

        SagaRunner.renew = let_go_of_nothing
    case "relay-checkpoint":
        from typing import Any

        from core.services.relay import Relay

        send_one: Any = Relay._send_one

        async def save_first(self: Any, sending: Any, prepared: Any, stopping: Any) -> bool:
            self.position = prepared.position
            self._moved.set()
            return await send_one(self, sending, prepared, stopping)

        Relay._send_one = save_first
    case "share-epoch":
        from core.adapters.postgres.read_models import shared_store

        comparison = "AND s.epoch = w.epoch AND s.saves = w.saves"
        assert shared_store.SAVE.count(comparison) == 1, "say here what the guard is by now"
        shared_store.SAVE = shared_store.SAVE.replace(comparison, "AND w.epoch > 0 AND w.saves >= 0")
    case "versions":
        import inspect

        from core.services import fold_deliveries, fold_shares

        source, guard = inspect.getsource(fold_deliveries.fold_next), "if stored.version <= last:"
        assert source.count(guard) == 1, "say here what the guard is by now"
        exec(source.replace(guard, "if False:"), fold_deliveries.__dict__)  # noqa: S102 - our own text
        fold_shares.fold_next = fold_deliveries.fold_next
    case "lost-saves":
        from core.adapters.postgres.read_models import shared_store

        comparison = "AND s.saves >= w.saves"
        assert shared_store.REACH.count(comparison) == 1, "say here what the guard is by now"
        shared_store.REACH = shared_store.REACH.replace(comparison, "AND w.saves >= 0")
    case "lease-margin":
        from core.adapters.redis import writer

        writer.SURELY_OVER = -1e9
    case "cache-token" | "cache-mark" | "cache-version" | "cache-epoch" as mutant:
        from core.adapters.redis import scripts

        name, guard, instead = {
            "cache-token": ("FILL", "value_of(KEYS[i]) == 't ' .. ARGV[1] .. ' ' .. ARGV[at]", "true"),
            "cache-mark": ("MARK", "redis.call('HSET', board, 'mark:' .. id_of(KEYS[i]), ARGV[1] .. ' ' .. seq)", ""),
            "cache-version": ("WRITE", "if current and not newer then", "if current then"),
            "cache-epoch": (
                "ANNOUNCE",
                "tonumber(epochs[field]) < tonumber(redis.call('HGET', board, field) or 0)",
                "false",
            ),
        }[mutant]
        before = getattr(scripts, name)
        assert before.count(guard) == 1, "say here what the guard is by now"
        setattr(scripts, name, before.replace(guard, instead))
        scripts.ALL = tuple(getattr(scripts, name) if script == before else script for script in scripts.ALL)
    case _:
        pass
