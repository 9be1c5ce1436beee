"""How every command ends when Ctrl-C is pressed: with one line, and the exit code that a shell expects."""

from __future__ import annotations

import sys
from typing import NoReturn

CODE = 130  # 128 and the number of SIGINT


def say_interrupted() -> None:
    after_the_key = "\n" if sys.stderr.isatty() else ""  # which the terminal shows as ^C
    sys.stderr.write(f"{after_the_key}orderdeck: interrupted\n")


def end_interrupted() -> NoReturn:
    say_interrupted()
    sys.exit(CODE)
