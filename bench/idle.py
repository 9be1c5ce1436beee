"""A whole orderdeck with nothing to do: how long `up` and `down` take, what it holds in memory, what CPU it takes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from bench.ground import ROOT, Ground, free_port
from bench.report import Row
from core.home import Home
from core.settings import Settings, env_names
from daemons.host.leftovers import processes_of

COMMAND = "from daemons.cli.start import main; main()"
TURNS = 3  # of up and down; the first makes the database
SETTLE = 10.0  # seconds after `up` until it counts as idle
UP, DOWN, MEMORY, IDLE = 1.5, 2.0, 300.0, 0.5  # to reach: seconds, seconds, MB, per cent of a core


def measure(ground: Ground, seconds: float) -> list[Row]:
    home = ground.folder / "idle"
    known = {name for field in Settings.model_fields for name in env_names(field)}
    env = {name: value for name, value in os.environ.items() if name not in known}
    env |= {env_names(field)[0]: str(free_port()) for field in Settings.model_fields if field.endswith("_port")}
    env |= {"ORDERDECK_HOME": str(home), "PYTHONPATH": str(ROOT)}
    del env["ORDERDECK_SMTP_PORT"]
    ups, downs = list[float](), list[float]()
    try:
        for _ in range(TURNS):
            ups.append(_orderdeck("up", env))
            downs.append(_orderdeck("down", env))
        _orderdeck("up", env)
        time.sleep(SETTLE)
        processes = _processes(home)
        before = {process: _cpu(process) for process in processes}
        time.sleep(seconds)
        after = {process: _cpu(process) for process in processes}
        cpu = {each: 100 * max(0.0, after[each] - before[each]) / seconds for each in processes}
        memory = {process: _memory(process) for process in processes}
        rows = _rows(ups, downs, _by_program(memory), _by_program(cpu))
    finally:
        _orderdeck("down", env)
    return rows


def _orderdeck(word: str, env: Mapping[str, str]) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", COMMAND, word], env=env, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def _processes(home: Path) -> list[psutil.Process]:
    found = processes_of(Home(home))
    return list({*found, *(child for process in found for child in process.children(recursive=True))})


def _cpu(process: psutil.Process) -> float:
    """Seconds of CPU; 0 if it has ended: a worker of the database that was not needed any more."""
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system
    return 0.0


def _memory(process: psutil.Process) -> float:
    """MB that the process holds, of what it shares with others its part."""
    with contextlib.suppress(psutil.Error):
        return process.memory_full_info().pss / 1e6
    return 0.0


def _by_program(figures: Mapping[psutil.Process, float]) -> dict[str, float]:
    programs: dict[str, float] = {}
    for process, figure in figures.items():
        name = _program(process)
        programs[name] = programs.get(name, 0.0) + figure
    return dict(sorted(programs.items(), key=lambda item: -item[1]))


def _program(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        match process.cmdline():
            case [_, "-m", "supervisor.supervisord", *_]:
                return "supervisord"
            case [_, "-m", module, *_]:
                return module.removeprefix("daemons.")
            case _:
                pass
    return "PostgreSQL"


def _rows(ups: list[float], downs: list[float], memory: Mapping[str, float], cpu: Mapping[str, float]) -> list[Row]:
    up, down = sorted(ups[1:])[len(ups[1:]) // 2], sorted(downs)[len(downs) // 2]
    held, took = sum(memory.values()), sum(cpu.values())
    server = memory.get("PostgreSQL", 0.0)
    return [
        Row("orderdeck up, until ready", f"{up:.2f} s; the first one, with a new database, {ups[0]:.2f} s",
            reach=f"<= {UP} s", met=up <= UP, data={"up": ups}),
        Row("orderdeck down", f"{down:.2f} s", reach=f"<= {DOWN} s", met=down <= DOWN, data={"down": downs}),
        Row("memory (PSS) of the daemons", f"{held - server:.0f} MB, and PostgreSQL {server:.0f} MB: "
            f"{_listed(memory, 1)}", reach=f"<= {MEMORY:.0f} MB", met=held - server <= MEMORY,
            data={"pss": dict(memory)}),
        Row("CPU of all while idle", f"{took:.2f} % of a core: {_listed(cpu, 2)}", reach=f"<= {IDLE} %",
            met=took <= IDLE, data={"cpu_percent": dict(cpu)}),
    ]  # fmt: skip


def _listed(figures: Mapping[str, float], digits: int) -> str:
    return ", ".join(f"{name} {figure:.{digits}f}" for name, figure in figures.items())
