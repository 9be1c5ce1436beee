"""Which role each route needs. This is the only place that says so, and a test walks every route of every service."""

from __future__ import annotations

from functools import cache

from core.api_keys import Role

ROLES: tuple[tuple[str, str, Role], ...] = (
    # method  the route begins with   role           the first row that fits counts
    ("GET",   "/api/v1/admin/",       Role.ADMIN),
    ("POST",  "/api/v1/admin/",       Role.ADMIN),
    ("GET",   "/api/v1/audit",        Role.ADMIN),
    ("GET",   "/api/v1/",             Role.VIEWER),
    ("POST",  "/api/v1/orders",       Role.OPERATOR),
    ("PUT",   "/api/v1/orders/",      Role.OPERATOR),
    ("POST",  "/api/v1/inventory/",   Role.OPERATOR),
    ("POST",  "/api/v1/sagas/",       Role.OPERATOR),
    ("POST",  "/api/v1/charges/",     Role.OPERATOR),  # of the payment sandbox, as the two below
    ("GET",   "/ledger",              Role.VIEWER),
    ("GET",   "/faults",              Role.VIEWER),
    ("POST",  "/faults",              Role.ADMIN),
    ("GET",   "/ready",               Role.VIEWER),    # of every daemon, as the next one
    ("GET",   "/metrics",             Role.VIEWER),
    ("GET",   "/docs",                Role.VIEWER),
    ("GET",   "/openapi.json",        Role.VIEWER),
)  # fmt: skip


def row_of(method: str, path: str) -> tuple[str, str, Role] | None:
    """The first row that fits; None when the table says nothing of this route."""
    return next((row for row in ROLES if method == row[0] and path.startswith(row[1])), None)


@cache
def row_for(method: str, route: str) -> Role | None:
    """The role of the first row that fits, if any does."""
    row = row_of(method, route)
    return None if row is None else row[2]


def role_for(method: str, route: str) -> Role:
    """The role that a route needs; what the table does not name is for admins only."""
    return row_for(method, route) or Role.ADMIN
