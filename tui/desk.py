"""Desk: what all views share: the gateway, the feed and its ring, the orders, and how far the deck is behind.

It knows nothing of the screen. What only one view shows is kept by that view.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, MutableMapping, Sequence
from datetime import datetime

from tui.config import WITHOUT_FILE, DeckConfig
from tui.daemons import Daemons
from tui.feed import Feed
from tui.gateway import Gateway, GatewayError, Health, ServiceRefused, TimedOut, Unreachable
from tui.gateway_guards import READ_ONLY
from tui.keymap import Keymap
from tui.own_actions import OwnActions
from tui.past_gateway import REFUSED, PastMoment
from tui.receipts import Receipt
from tui.viewmodels.attention import AttentionModel
from tui.viewmodels.draft import OrderDraft
from tui.viewmodels.marked_orders import Marks
from tui.viewmodels.meter import Peak, Rate
from tui.viewmodels.order_rows import COLUMNS, OrderColumn, columns_named
from tui.viewmodels.orders import OrdersModel
from tui.viewmodels.outages import Outages, what_is_away
from tui.viewmodels.ring import NumberedFrame, Ring
from tui.viewmodels.saved_views import BUILT_IN, SavedView

VIEWER = "viewer"
ONLY_VIEWS = "this deck's key has the role viewer: commands need the role operator"
SERVER_ERROR = 500  # the first status that says that the service could not do it
_QUESTIONS = 20  # of which the texts are remembered that were typed and not sent


class Desk:
    """`clock` is monotonic seconds, for durations; `now` is the time of day, for ages.

    `debounce` is the seconds that typing must pause before the server is asked about the text. `daemons` opens the
    way to the supervisord of the services, if this deck has one; it is called when somebody first looks there. `past`
    is the moment that all views show, if it is not now.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        debounce: float,
        daemons: Callable[[], Daemons | None] = lambda: None,
        config: DeckConfig = WITHOUT_FILE,
        past: PastMoment | None = None,
    ) -> None:
        self.gateway = gateway
        self.past = past
        self.config = config
        self.keymap = Keymap(config.keymap)
        self.open_daemons = daemons
        self.clock = clock
        self.now = now
        self.debounce = debounce
        self.ring = Ring()
        self.feed = Feed(gateway, self.ring, clock)
        self.orders = OrdersModel(gateway, clock)
        self.attention = AttentionModel(gateway, clock)
        self.draft = OrderDraft()
        self.draft_aside = OrderDraft()
        self._unsent: dict[str, MutableMapping[str, str]] = {}
        self.marks = Marks()
        self.saved_views: Sequence[SavedView] = (*BUILT_IN, *(SavedView(*view) for view in config.views.items()))
        self.columns: Sequence[OrderColumn] = columns_named(config.columns) if config.columns else COLUMNS
        self.health: Health | None = None
        self.rate = Rate()
        self.behind = Peak()
        self.under_way: set[str] = set()
        self.receipts: deque[Receipt] = deque(maxlen=20)
        self.frames: deque[float] = deque(maxlen=180)  # seconds that each of the last paintings took
        self.own = OwnActions()
        self.views = frozenset[str]()  # the names of the views that this deck has
        self.outages = Outages()
        self.queries_away = ""  # why the query API does not say how far the readers of the log are
        self.commands_away = ""  # why the command API cannot be reached
        self.role = ""  # of the deck's key, as far as the command API has said it
        self._seen = 0
        self._jumps = 0
        self._was_live = False

    def tick(self) -> Sequence[NumberedFrame]:
        """The frames that arrived since the last tick; the rate and the delay are measured on the way."""
        now = self.clock()
        fresh = list(self.ring.since(self._seen))
        self._seen = self.ring.end
        if self.feed.position is not None:
            known = max(self.feed.opened_at, self.feed.position)  # events from before the deck was opened do not count
            self.rate.note(now, known)
        if fresh and self.feed.received_at is not None:
            self.behind.note(now, now - self.feed.received_at)
        return fresh

    def jumped(self) -> bool:
        """Whether events were missed since the last call, so that what the lists show must be read again."""
        before, self._jumps = self._jumps, self.feed.lost + self.feed.restarts
        return self._jumps > before

    def came_back(self) -> bool:
        """Whether the feed went live since the last call, so that what could not be read can be read now."""
        before, self._was_live = self._was_live, self.feed.state == "live"
        return self._was_live and not before

    def unsent(self, verb: str, subject_id: str) -> MutableMapping[str, str]:
        """What was typed before into the question of this command; only the last few questions are remembered."""
        question = f"{verb} {subject_id}"
        texts = self._unsent.pop(question, {})
        self._unsent[question] = texts
        while len(self._unsent) > _QUESTIONS:
            del self._unsent[next(iter(self._unsent))]
        return texts

    def forget_unsent(self, verb: str, subject_id: str) -> None:
        """The command was accepted: the next question of this kind begins without its texts."""
        self._unsent.pop(f"{verb} {subject_id}", None)

    def forget_draft(self, draft: OrderDraft) -> None:
        """Replace a draft that was placed by an empty one; the other one stays."""
        if self.draft is draft:
            self.draft = OrderDraft()
        elif self.draft_aside is draft:
            self.draft_aside = OrderDraft()

    async def measure(self) -> None:
        """Ask how far the read models are behind, whether the command API answers, what needs a person, what is away.

        While the feed is lost and no answer comes, the first is unknown.
        """
        asked_at = self.clock()
        self.health = None if self.feed.state != "live" else self.health
        await asyncio.gather(self._ask_queries(), self._ask_commands(), self.attention.read())
        daemons = self.attention.daemons
        away = what_is_away(queries=self.queries_away, commands=self.commands_away, daemons=daemons)
        self.outages.note(away, asked_at=asked_at, daemons_known=daemons is not None)

    async def _ask_queries(self) -> None:
        try:
            self.health = await self.gateway.health()
        except GatewayError as error:  # one who is refused learns nothing of whether it works
            refused = isinstance(error, ServiceRefused) and error.status < SERVER_ERROR
            self.queries_away = "" if refused else str(error)
        else:
            self.queries_away = ""

    async def _ask_commands(self) -> None:
        try:
            self.role = await self.gateway.ask_for_commands()
        except (Unreachable, TimedOut) as error:
            self.commands_away = str(error)
        except GatewayError:  # it answers, if only with an error
            self.commands_away = ""
        else:
            self.commands_away = ""

    def why_no_writes(self, order_id: str | None = None) -> str | None:
        """The reason that no command can be sent now; None when one can."""
        if self.past:
            return REFUSED
        if self.gateway.read_only:
            return READ_ONLY
        if self.role == VIEWER:
            return ONLY_VIEWS
        if self.commands_away:
            return f"{self.commands_away}: no command can be sent until it does; it is asked every few seconds"
        if order_id is not None and order_id in self.under_way:
            return "the last command to this order is still under way"
        return None
