"""The line of the worked example that a real screen has in tui/registry.py."""

from __future__ import annotations

from tests.recipes.screen.sales_view import SalesView
from tui.registry import ViewEntry

SALES = ViewEntry("sales", "Sales", "9", SalesView)
