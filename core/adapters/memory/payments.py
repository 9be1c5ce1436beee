"""The payment provider in memory, for tests. It knows the same test payment methods as the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from core.domain.provider import Approved, Declined, PaymentAnswer, Refused
from core.errors import GatewayTimeout, GatewayUnavailable

ZERO = Decimal(0)
DECLINES = {"test_card_fail": "card declined", "test_card_insufficient_funds": "insufficient funds"}
UNAVAILABLE_TRIES = {
    ("authorise", "test_card_flaky"): 2,
    ("void", "test_card_void_fails"): 3,
    ("void", "test_card_void_never"): 1_000_000,
}


LIVES = {"test_card_expires": timedelta(seconds=5), "test_card_expires_fail": timedelta(seconds=5)}
WEEK = timedelta(days=7)


class _Charge:
    """`tombstone`: it was voided before it was authorised."""

    def __init__(
        self,
        method: str,
        authorised: Decimal,
        state: str,
        expires_at: datetime | None = None,
        *,
        tombstone: bool = False,
    ) -> None:
        self.method, self.authorised, self.state, self.expires_at = method, authorised, state, expires_at
        self.tombstone = tombstone
        self.captured = self.refunded = ZERO


class MemoryPaymentGateway:
    """It never waits: a slow payment method answers at once, and a timeout is raised at once."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._declines_renewal = {"test_card_expires_fail"}
        self._answers: dict[str, tuple[object, PaymentAnswer]] = {}
        self._charges: dict[UUID, _Charge] = {}
        self._tries: Counter[str] = Counter()

    def room(self) -> int:
        return 64

    def is_away(self) -> bool:
        return False

    async def authorise(
        self, key: str, *, payment_id: UUID, order_id: UUID, amount: Decimal, currency: str, method: str
    ) -> PaymentAnswer:
        request = ("authorise", payment_id, order_id, amount, currency, method)
        if (known := self._repeated_answer(key, request)) is not None:
            return known
        self._fail_first_tries(key, "authorise", method)
        charge = self._charge(payment_id)
        if charge is not None and (charge.tombstone or charge.state in {"authorised", "captured"}):
            return self._answer(key, request, Refused(f"this payment is already {charge.state}"))
        renewal_fails = method in self._declines_renewal and charge is not None and charge.state != "declined"
        if renewal_fails or method in DECLINES or not _supported(method):
            self._charges[payment_id] = _Charge(method, ZERO, "declined")
            reason = "card declined" if _supported(method) else "unsupported payment method"
            return self._answer(key, request, Declined(DECLINES.get(method, reason)))
        expires_at = self._now() + LIVES.get(method, WEEK)
        self._charges[payment_id] = _Charge(method, amount, "authorised", expires_at)
        answer = self._answer(key, request, Approved(f"auth_{key}", expires_at))
        if method == "test_card_timeout":
            raise GatewayTimeout("no answer from the payment provider")
        return answer

    async def capture(self, key: str, *, payment_id: UUID, amount: Decimal) -> PaymentAnswer:
        request = ("capture", payment_id, amount)
        if (known := self._repeated_answer(key, request)) is not None:
            return known
        charge = self._charge(payment_id)
        if charge is None or charge.state != "authorised" or amount > charge.authorised:
            return self._answer(key, request, Refused("cannot capture this payment"))
        charge.state, charge.captured = "captured", amount
        return self._answer(key, request, Approved(f"capt_{key}"))

    async def void(self, key: str, *, payment_id: UUID, reason: str) -> PaymentAnswer:
        request = ("void", payment_id, reason)
        if (known := self._repeated_answer(key, request)) is not None:
            return known
        tombstone = _Charge("", ZERO, "voided", tombstone=True)
        charge = self._charge(payment_id) or self._charges.setdefault(payment_id, tombstone)
        self._fail_first_tries(key, "void", charge.method)
        if charge.state == "captured":
            return self._answer(key, request, Refused("cannot void a payment that is captured: refund it"))
        charge.state = "voided" if charge.state == "authorised" else charge.state
        return self._answer(key, request, Approved(f"void_{key}"))

    async def refund(self, key: str, *, payment_id: UUID, amount: Decimal, reason: str) -> PaymentAnswer:
        request = ("refund", payment_id, amount, reason)
        if (known := self._repeated_answer(key, request)) is not None:
            return known
        charge = self._charges.get(payment_id)
        if charge is None or amount > charge.captured - charge.refunded:
            return self._answer(key, request, Refused("cannot refund that much of this payment"))
        charge.refunded += amount
        return self._answer(key, request, Approved(f"refu_{key}"))

    async def look_up(self, key: str) -> PaymentAnswer | None:
        return self._answers[key][1] if key in self._answers else None

    def _charge(self, payment_id: UUID) -> _Charge | None:
        """The charge as it is now: its authorisation may have ended."""
        charge = self._charges.get(payment_id)
        if charge and charge.state == "authorised" and charge.expires_at and charge.expires_at <= self._now():
            charge.state = "expired"
        return charge

    def _repeated_answer(self, key: str, request: object) -> PaymentAnswer | None:
        if key not in self._answers:
            return None
        first, answer = self._answers[key]
        return answer if first == request else Refused("this idempotency key came before, with another request")

    def _answer(self, key: str, request: object, answer: PaymentAnswer) -> PaymentAnswer:
        self._answers[key] = (request, answer)
        return answer

    def _fail_first_tries(self, key: str, operation: str, method: str) -> None:
        self._tries[key] += 1
        if self._tries[key] <= UNAVAILABLE_TRIES.get((operation, method), 0):
            raise GatewayUnavailable("the payment provider answered 503", 1.0)


def _supported(method: str) -> bool:
    return method == "card" or method.startswith("test_card_")
