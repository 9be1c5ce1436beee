"""The jars of Apache Kafka, fetched by Maven once and kept in a cache folder outside of the checkout."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

POM = Path(__file__).parents[1] / "kafka" / "pom.xml"
REQUIRED = os.environ.get("REQUIRE_KAFKA", "")
"""`apache`: a test that needs Kafka fails where it is missing; else such a test is skipped."""


def kafka_version() -> str:
    found = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>(.+)</version>", POM.read_text())
    assert found is not None, f"{POM} names no version of Kafka"
    return found[1]


def kafka_libraries() -> Path:
    """The folder of the jars. Of several processes that find none at the same time each fetches, and the first wins."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orderdeck-tests"
    folder = caches / f"kafka-{kafka_version()}"
    if folder.exists():
        if shutil.which("java") is None:
            _missing("there is no java")
        return folder
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            _missing(f"there is no {program}")
    caches.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=caches) as fresh:
        jars = Path(fresh) / "jars"
        copy = ("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}")
        done = subprocess.run(
            [str(shutil.which("mvn")), "-q", "-B", "-f", str(POM), *copy],
            cwd=fresh,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            _missing(f"mvn cannot fetch Kafka: {done.stdout.strip()[-500:]}")
        with contextlib.suppress(OSError):  # another process was first
            jars.rename(folder)
    return folder


def _missing(why: str) -> None:
    if REQUIRED:
        pytest.fail(f"REQUIRE_KAFKA={REQUIRED}, and {why}", pytrace=False)
    pytest.skip(f"needs Apache Kafka, and {why}: install java (17 or newer) and maven", allow_module_level=True)
