"""Forks: who hears which processes have ended may be replaced by another, as when a daemon begins its work anew."""

from __future__ import annotations

import subprocess
import sys

BEGIN_ANEW = """
import asyncio
from daemons.process.forks import Forks

forks = Forks(lambda number: None)

async def main():
    for number in range(3):
        stop = asyncio.Event()
        keeping = asyncio.create_task(forks.keep(stop))
        await asyncio.sleep(0)
        forks.begin(number)
        async with asyncio.timeout(10):
            while forks.runs(number):
                await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    print(forks.count, [task for task in asyncio.all_tasks() if "sock_recv" in repr(task)])

asyncio.run(main())
"""


def test_after_the_work_was_cancelled_and_begun_anew_the_ends_of_processes_are_heard_and_no_task_is_left() -> None:
    done = subprocess.run([sys.executable, "-c", BEGIN_ANEW], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("0 []\n", "")
