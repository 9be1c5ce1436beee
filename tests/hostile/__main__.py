"""`make attack`: a stack of its own under a million hostile requests; says whether it kept its memory and its manners.

The same seed draws the same requests. It fails when a daemon needs more than twice the memory that it began with, ends,
answers a 5xx other than 503, or answers /health later than in a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from tests.support.command_api import ORDER
from tests.support.memory_folder import open_folder
from tests.support.raw_http import request
from tests.support.stack import Stack

CALLERS = 24  # connections at one time
PATIENCE = 10.0  # seconds for an answer
LATEST_HEALTH = 1.0  # seconds
MOST_MEMORY = 2.0  # times what a daemon holds when the attack begins
JSON = "Content-Type: application/json"
PATHS = {
    "command": (
        "/api/v1/orders",
        "/api/v1/inventory/SKU-1/receipts",
        "/api/v1/orders/x/cancel",
        "/api/v1/sagas/1/retry",
    ),
    "query": (
        "/api/v1/orders",
        "/api/v1/events",
        "/api/v1/inventory",
        "/api/v1/stats",
        "/api/v1/sagas",
        "/openapi.json",
    ),
    "payment": ("/faults", "/ledger", "/api/v1/operations/key", "/api/v1/charges/x/void"),
    "projector": ("/health", "/ready", "/metrics"),
    "saga_runner": ("/health", "/ready", "/metrics"),
}


@dataclass
class Attack:
    """What was answered so far, and what must not have happened."""

    stack: Stack
    left: int
    chance: random.Random
    statuses: Counter[int] = field(default_factory=Counter[int])
    wrong: list[str] = field(default_factory=list[str])
    slowest_health: dict[str, float] = field(default_factory=dict[str, float])

    def port(self, service: str) -> int:
        return self.stack.port(service)


# --- what is sent: each makes one request of one kind from chance ---------------------------------------------------
def text(chance: random.Random, most: int) -> str:
    return "".join(chance.choices("abcXYZ019-_.~%{}[]\"'<>;:&=", k=chance.randrange(most)))


def path(chance: random.Random, service: str) -> str:
    return chance.choice(PATHS[service])


def many_headers(chance: random.Random, service: str) -> bytes:
    return request("GET", path(chance, service), *[f"H{n}: {n}" for n in range(chance.randrange(90, 400))])


def large_header(chance: random.Random, service: str) -> bytes:
    return request("GET", path(chance, service), "H: " + "x" * chance.randrange(60_000, 300_000))


def long_address(chance: random.Random, service: str) -> bytes:
    return request("GET", path(chance, service) + "?" + "q" * chance.randrange(7_000, 40_000))


def strange_query(chance: random.Random, service: str) -> bytes:
    return request("GET", f"{path(chance, service)}?{text(chance, 200)}".replace(" ", ""))


def stranger(chance: random.Random, service: str) -> bytes:
    host, origin = (
        chance.choice(("evil.example", "localhost", "a@b", "")),
        chance.choice(("null", "http://evil.example")),
    )
    return request(chance.choice(("GET", "POST", "OPTIONS")), path(chance, service), f"Origin: {origin}", host=host)


def odd_method(chance: random.Random, service: str) -> bytes:
    return request(
        chance.choice(("BREW", "TRACE", "PATCH", "DELETE", "PROPFIND", "get", "CONNECT")), path(chance, service)
    )


def odd_framing(chance: random.Random, service: str) -> bytes:
    header = chance.choice(
        ("Transfer-Encoding: gzip", "Transfer-Encoding: chunked\r\nContent-Length: 4", "Content-Length: -1",
         "Content-Length: 99999999999", "Expect: x", "Content-Encoding: gzip", "Content-Length: 2\r\nContent-Length: 3")
    )  # fmt: skip
    return request("POST", path(chance, service), JSON, header) + b"0\r\n\r\n"


def no_http(chance: random.Random, _: str) -> bytes:
    return chance.randbytes(chance.randrange(1, 3_000)) + b"\r\n\r\n"


def odd_body(chance: random.Random, service: str) -> bytes:
    body = json.dumps(ORDER).encode()
    place = chance.randrange(len(body))
    body = body[:place] + chance.randbytes(chance.randrange(20)) + body[place + chance.randrange(20) :]
    return request("POST", path(chance, service), JSON, body=body)


def empty_items(chance: random.Random, service: str) -> bytes:
    items = chance.choice((b"{}", b"[]", b"1", b'""', b"null"))
    body = b'{"items":[' + b",".join([items] * chance.randrange(1, 20_000)) + b"]}"
    return request("POST", path(chance, service), JSON, body=body)


def nested(chance: random.Random, service: str) -> bytes:
    depth = int(10 ** chance.uniform(0, 4.7))  # as many below 1,000, where decoders reach their limits, as above
    return request("POST", path(chance, service), JSON, body=b"[" * depth + b"]" * depth)


def ordinary(chance: random.Random, service: str) -> bytes:
    return request("GET", path(chance, service))


def half(chance: random.Random, service: str) -> bytes:
    whole = odd_body(chance, service)
    return whole[: chance.randrange(1, len(whole))]


KINDS: tuple[Callable[[random.Random, str], bytes], ...] = (
    many_headers, large_header, long_address, strange_query, stranger, odd_method, odd_framing, no_http, odd_body,
    empty_items, nested, ordinary, half,
)  # fmt: skip
HEAVY = {empty_items, nested, large_header}  # sent more seldom, since the attacker needs time to make them


# --- sending and watching -------------------------------------------------------------------------------------------
async def call(attack: Attack) -> None:
    while attack.left > 0:
        attack.left -= 1
        service, kind = attack.chance.choice(list(PATHS)), attack.chance.choice(KINDS)
        if kind in HEAVY and attack.chance.random() < 0.8:
            kind = ordinary
        status = await answer(attack.port(service), kind(attack.chance, service), ends=kind is half)
        attack.statuses[status] += 1
        if status >= 500 and status != 503:
            attack.wrong.append(f"{kind.__name__} to {service} was answered {status}")


async def answer(port: int, sent: bytes, *, ends: bool) -> int:
    """The status of the answer; 0 when the connection was closed without one."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(sent)
                if ends:
                    return 0
                first = await reader.readline()
                return int(first.split()[1]) if first else 0
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return 0


async def watch_health(attack: Attack, service: str) -> None:
    while True:
        began = time.monotonic()
        status = await answer(attack.port(service), request(), ends=False)
        took = time.monotonic() - began
        attack.slowest_health[service] = max(took, attack.slowest_health.get(service, 0.0))
        if status != 200 or took > LATEST_HEALTH:
            attack.wrong.append(f"/health of {service} was answered {status} after {took:.2f} s")
        await asyncio.sleep(0.25)


async def run(attack: Attack) -> float:
    began = time.monotonic()
    watching = [asyncio.create_task(watch_health(attack, service)) for service in PATHS]
    await asyncio.gather(*(call(attack) for _ in range(CALLERS)))
    for task in watching:
        task.cancel()
    return time.monotonic() - began


def memory(stack: Stack) -> dict[str, tuple[int, int]]:
    """For each program its pid and the bytes that it holds."""
    return {
        program["name"]: (program["pid"], psutil.Process(program["pid"]).memory_info().rss)
        for program in stack.status()["programs"]
        if program["name"] != "postgres"
    }


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make attack", description=__doc__)
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with open_folder("od-attack-") as folder, Stack(folder / "home") as stack:
        stack.up()
        warm = Attack(stack, left=min(2_000, given.requests), chance=random.Random(given.seed - 1))
        asyncio.run(run(warm))  # what a daemon loads at its first requests is not what an attack costs
        before = memory(stack)
        attack = Attack(stack, left=given.requests, chance=random.Random(given.seed))
        took = asyncio.run(run(attack))
        after = memory(stack)
    answers = dict(sorted(attack.statuses.items()))
    print(f"{given.requests} requests in {took:.0f} s, seed {given.seed}; answers by status: {answers}")
    for name, (pid, held) in before.items():
        again, now = after[name]
        print(f"{name:16} {held >> 20:5} MB before, {now >> 20:5} MB after")
        if again != pid:
            attack.wrong.append(f"{name} ended and was started again")
        if now > MOST_MEMORY * held:
            attack.wrong.append(f"{name} holds {now / held:.1f} times what it held before")
    for name, slowest in attack.slowest_health.items():
        print(f"{name:16} /health after {1000 * slowest:.0f} ms at most")
    for wrong in attack.wrong[:20]:
        print(f"WRONG: {wrong}")
    print("the attack did no harm" if not attack.wrong else f"{len(attack.wrong)} things went wrong")
    return 1 if attack.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
