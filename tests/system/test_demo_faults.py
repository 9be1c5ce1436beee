"""`orderdeck demo --faults` on a whole stack: it tells what the provider does, and leaves it as it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import httpx

from tests.support.stack import ROOT, Stack


def faults(stack: Stack) -> dict[str, Any]:
    return httpx.get(f"http://127.0.0.1:{stack.port('payment')}/faults", trust_env=False).json()


def test_the_demo_completes_an_order_under_each_fault_and_leaves_the_provider_without_faults(stack: Stack) -> None:
    before = faults(stack)
    done = stack.orderdeck("demo", "--faults")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[-9:]] == ["CONFIRMED", "CONFIRMED", "SHIPPED", *["CONFIRMED"] * 6]
    assert sum("charged once, says the provider's ledger" in line for line in lines) == 9
    slow, failing, unheard, away = done.stdout.split("/faults  ")[1:5]
    assert "Failed" not in slow + unheard
    assert failing.count("StepFailed") >= 2
    assert "all 6 orders wait: the payment provider is away and is not being called" in away
    assert not {"OrderCancelled", "SagaCompensated"} & set(done.stdout.split())
    assert faults(stack) == before


def test_ctrl_c_makes_the_demo_switch_its_faults_off(stack: Stack) -> None:
    httpx.post(f"http://127.0.0.1:{stack.port('payment')}/faults", json={"latency_ms": 1}, trust_env=False)
    demo = subprocess.Popen(
        [sys.executable, "-m", "daemons.cli.main", "demo", "--faults"],
        env=stack.env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout
    assert any("latency_ms 800" in line for line in demo.stdout), "it says what it switches on"
    assert faults(stack)["latency_ms"] == 800
    demo.send_signal(signal.SIGINT)
    output = demo.communicate(timeout=20)[0]
    assert (demo.returncode, "Traceback" in output) == (130, False), output
    assert faults(stack)["latency_ms"] == 1
    httpx.post(f"http://127.0.0.1:{stack.port('payment')}/faults", json={}, trust_env=False)


def test_the_demo_of_faults_refuses_in_one_sentence_without_our_sandbox(stack: Stack) -> None:
    other = Stack(stack.home.path, ORDERDECK_PAYMENT_URL=stack.url)
    other.settings = stack.settings | {"ORDERDECK_PAYMENT_URL": stack.url}
    done = other.orderdeck("demo", "--faults")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"orderdeck: the payment provider at {stack.url} has no /faults: "
        "only our sandbox fails on demand, so unset ORDERDECK_PAYMENT_URL\n"
    )
