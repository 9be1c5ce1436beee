"""Makes the configuration of supervisord, for the checkout or a home, from the list of the supervised programs."""

from __future__ import annotations

from collections.abc import Mapping

from core.home import Home
from daemons.process.program_list import PROGRAMS, Counts, Program

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
{plugin}
[supervisorctl]
serverurl=unix://{run}/supervisor.sock
"""

# Not in the checkout's: it may be run by a supervisord that cannot import orderdeck.
PLUGIN = """
[rpcinterface:orderdeck]
supervisor.rpcinterface_factory=daemons.host.supervisor_plugin:make_interface
"""

PROGRAM = """
[program:{name}]
command="{python}" -m {module}{number}
{numprocs}priority={priority}
stdout_logfile={logs}/{log}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
redirect_stderr=true
stopsignal=TERM
stopwaitsecs=30
killasgroup=true
startretries=1000000
{restart}
"""

# Of several processes each has a number: in its name, in its command and in the name of its log.
NUMPROCS = "numprocs={count}\nnumprocs_start=1\nprocess_name=%(program_name)s-%(process_num)d\n"

ALWAYS = "autorestart=true\nstartsecs=1"
# The program exits with 0 when the settings say that it is not needed, with 78 when a person has to change something.
UNLESS_DONE = "autorestart=unexpected\nstartsecs=0\nexitcodes=0,78"


def supervisord_conf(home: Home, python: str, counts: Counts) -> str:
    """The configuration for one home; its daemons inherit their settings with supervisord's environment."""
    paths = {"directory": str(home.path), "run": str(home.run), "logs": str(home.logs)}
    return _render(counts, conf=str(home.supervisord_conf), python=python, plugin=PLUGIN, **paths)


def checkout_conf() -> str:
    """The text of the supervisord.conf that lies in the checkout."""
    home = "%(here)s/.orderdeck"
    return _render(
        {}, conf="supervisord.conf", python="%(here)s/.venv/bin/python", directory="%(here)s", run=f"{home}/run",
        logs=f"{home}/logs", environment=f'environment=ORDERDECK_HOME="{home}"\n',
    )  # fmt: skip


def _render(
    counts: Counts,
    *,
    conf: str,
    python: str,
    directory: str,
    run: str,
    logs: str,
    environment: str = "",
    plugin: str = "",
) -> str:
    values = {"conf": conf, "python": python, "directory": directory, "run": run, "logs": logs}
    escaped = {key: text if "%(here)s" in text else text.replace("%", "%%") for key, text in values.items()}
    in_programs = escaped | {"logs": escaped["logs"].replace("%%", "%%%%")}  # supervisord replaces %% by % twice here
    programs = (
        _program(program, 10 * number, counts, in_programs)
        for number, program in enumerate(PROGRAMS, 1)
        if counts.get(program.name, 1)
    )
    return HEAD.format(**escaped, environment=environment, plugin=plugin) + "".join(programs)


def _program(program: Program, priority: int, counts: Counts, values: Mapping[str, str]) -> str:
    count = counts.get(program.name, 1)
    return PROGRAM.format(
        **values,
        name=program.name,
        module=program.module,
        number=" %(process_num)d" if count > 1 else "",
        numprocs=NUMPROCS.format(count=count) if count > 1 else "",
        log=program.name + ("-%(process_num)d" if count > 1 else ""),
        priority=priority,
        restart=UNLESS_DONE if program.name == "postgres" or program.needs else ALWAYS,
    )
