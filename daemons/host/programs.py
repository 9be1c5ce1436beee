"""Makes the configuration of supervisord, for the checkout or a home, from the list of the supervised programs."""

from __future__ import annotations

from core.home import Home
from daemons.process.program_list import PROGRAMS

HEAD = """\
; supervisord for all of orderdeck: `supervisord -c {conf}`, then `supervisorctl`.
; Made by daemons/host/programs.py, which `orderdeck up` uses for any other home; a test compares the two.

[unix_http_server]
file={run}/supervisor.sock
chmod=0700

[supervisord]
logfile={logs}/supervisord.log
pidfile={run}/supervisord.pid
childlogdir={logs}
directory={directory}
umask=077
{environment}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{run}/supervisor.sock
"""

PROGRAM = """
[program:{name}]
command="{python}" -m {module}
priority={priority}
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
redirect_stderr=true
stopsignal=TERM
stopwaitsecs=30
killasgroup=true
startretries=1000000
{restart}
"""

ALWAYS = "autorestart=true\nstartsecs=1"
# The program exits with 0 when the settings say that it is not needed, with 78 when a person has to change something.
UNLESS_DONE = "autorestart=unexpected\nstartsecs=0\nexitcodes=0,78"


def supervisord_conf(home: Home, python: str) -> str:
    """The configuration for one home; its daemons inherit their settings with supervisord's environment."""
    return _render(
        conf=str(home.supervisord_conf), python=python, directory=str(home.path), run=str(home.run), logs=str(home.logs)
    )


def checkout_conf() -> str:
    """The text of the supervisord.conf that lies in the checkout."""
    home = "%(here)s/.orderdeck"
    return _render(
        conf="supervisord.conf", python="%(here)s/.venv/bin/python", directory="%(here)s", run=f"{home}/run",
        logs=f"{home}/logs", environment=f'environment=ORDERDECK_HOME="{home}"\n',
    )  # fmt: skip


def _render(*, conf: str, python: str, directory: str, run: str, logs: str, environment: str = "") -> str:
    values = {"conf": conf, "python": python, "directory": directory, "run": run, "logs": logs}
    escaped = {key: text if "%(here)s" in text else text.replace("%", "%%") for key, text in values.items()}
    programs = (
        PROGRAM.format(
            **escaped | {"logs": escaped["logs"].replace("%%", "%%%%")},  # supervisord replaces %% by % twice here
            name=program.name,
            module=program.module,
            priority=10 * number,
            restart=UNLESS_DONE if program.name == "postgres" or program.needs else ALWAYS,
        )
        for number, program in enumerate(PROGRAMS, 1)
    )
    return HEAD.format(**escaped, environment=environment) + "".join(programs)
