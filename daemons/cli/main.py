"""The orderdeck command: each subcommand is a few lines that import the module that does its work and call it."""

# ruff: noqa: PLC0415 - `orderdeck --help` stays quick
from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 - said here, before an import fails with a traceback
    sys.exit("orderdeck needs Python 3.11 or newer: make the environment again with a newer python3")

import typer

from core.settings import Settings, load_settings
from daemons.cli.audit import audit
from daemons.cli.backup import backup, restore
from daemons.cli.dead_letters import deadletters
from daemons.cli.deck_config import config
from daemons.cli.erase import erase
from daemons.cli.keys import keys
from daemons.cli.lists import list_daemons, list_events, list_sagas
from daemons.cli.orders import list_orders, order
from daemons.cli.output import fail, one_sentence, say, say_json
from daemons.cli.past import compare
from daemons.cli.rebuild import rebuild
from daemons.cli.sagas import saga
from daemons.cli.streams import list_checkpoints, snapshots, streams
from daemons.cli.webhooks import webhooks
from daemons.process.quick_imports import quick_imports

CHANGES_DAEMONS = frozenset(
    {"start", "stop", "restart", "signal", "shutdown", "reload", "update", "reread", "add", "remove", "clear", "fg"}
)  # the words of supervisorctl that do more than look

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="An event-sourced order desk."
)

app.add_typer(saga, name="saga")
app.add_typer(config, name="config")
app.add_typer(order, name="order")
app.add_typer(keys, name="keys")
app.command()(rebuild)
app.command()(erase)
app.command()(backup)
app.command()(restore)
app.command()(audit)
app.add_typer(deadletters, name="deadletters")
app.add_typer(webhooks, name="webhooks")
app.add_typer(streams, name="streams")
app.add_typer(snapshots, name="snapshots")
app.command("checkpoints")(list_checkpoints)
for name, listing in (
    ("orders", list_orders),
    ("events", list_events),
    ("sagas", list_sagas),
    ("daemons", list_daemons),
    ("compare", compare),
):
    # A word such as -status:cancelled is no option; `no_options` refuses what was meant as one.
    app.command(name, context_settings={"ignore_unknown_options": True})(listing)


def main() -> None:
    """Run the command; an expected error is printed as one sentence on stderr, with exit code 1."""
    with one_sentence():
        app()


@app.command()
def up(
    *,
    other_ports: Annotated[
        bool, typer.Option("--other-ports", help="Where a usual port is taken, use another, and write it to .env.")
    ] = False,
) -> None:
    """Start every daemon of this home and wait until all of them are ready."""
    with quick_imports():
        from daemons.host import stack

    urls = stack.up(load_settings(), moved=say if other_ports else None)
    settings = load_settings()
    _note(settings, "orderdeck up")
    say(f"orderdeck is up in {settings.home}")
    for name, url in urls.items():
        say(f"  {name:<9} {url}")
    say(f"  {'docs':<9} {urls['commands']}/docs")


@app.command()
def down(*, forget: Annotated[bool, typer.Option("--forget", help="Remove every order of this home.")] = False) -> None:
    """Stop everything that `up` started."""
    with quick_imports():
        from daemons.cli.output import tell
        from daemons.host import stack

    settings = _settings_to_stop_with(but_not="--forget" if forget else "")
    if stack.runs(settings):
        _note(settings, "orderdeck down")
    say("orderdeck is down" if stack.down(settings, late=tell) else "orderdeck was not up")
    if forget:
        stack.forget(settings)
        say(f"and {settings.home} has forgotten every order")


@app.command()
def status(*, json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show each program: its state, whether it is ready, and why not. Exit code 0 when all are ready."""
    from daemons.host.status import as_table, stack_status

    stack_now = stack_status(load_settings())
    if json:
        say_json(stack_now.as_json())
    else:
        say(as_table(stack_now))
    raise typer.Exit(0 if stack_now.ready else 1)


@app.command()
def tui(
    command_url: Annotated[str, typer.Option(help="Command API; default: this home's.")] = "",
    query_url: Annotated[str, typer.Option(help="Query API; default: this home's.")] = "",
    supervisor: Annotated[str, typer.Option(help="Socket of the supervisord there, forwarded: unix:PATH.")] = "",
    profile: Annotated[str, typer.Option(help="A profile of the configuration file.")] = "",
    *,
    read_only: Annotated[bool, typer.Option("--read-only", help="Send no command, whatever is pressed.")] = False,
    ascii: Annotated[bool, typer.Option("--ascii", help="Draw with letters of ASCII only.")] = False,  # noqa: A002 - the option's name
) -> None:
    """Open the deck, on this home's services or on remote ones."""
    from daemons.cli.deck import DeckOptions, open_deck

    raise typer.Exit(open_deck(DeckOptions(command_url, query_url, ascii, supervisor, profile, read_only)))


@app.command()
def web(
    command_url: Annotated[str, typer.Option(help="Command API; default: this home's.")] = "",
    query_url: Annotated[str, typer.Option(help="Query API; default: this home's.")] = "",
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    visitors: Annotated[int, typer.Option(min=1, help="Browsers at once; each is a process of its own.")] = 8,
    allow_writes: Annotated[bool, typer.Option("--allow-writes", help="Let browsers send commands.")] = False,
) -> None:
    r"""Show the deck in browsers of this machine; `ssh -L` reaches it from others. Needs orderdeck\[web]."""
    try:
        from daemons.cli.web import run
    except ModuleNotFoundError as error:
        fail(f"{error.name} is not installed: pip install 'orderdeck[web]'")

    urls = {"--command-url": command_url, "--query-url": query_url}
    options = [f"{name}={url}" for name, url in urls.items() if url]
    run(load_settings(), options, host=host, port=port, visitors=visitors, allow_writes=allow_writes)


@app.command()
def demo(
    *,
    faults: Annotated[
        bool, typer.Option("--faults", help="Make the payment sandbox fail in every way it can.")
    ] = False,
) -> None:
    """Place five orders, each with another fate, and watch them travel."""
    from daemons.cli.demo import faults as failing
    from daemons.cli.demo import scenes as fine

    raise typer.Exit((failing if faults else fine).run(load_settings()))


@app.command()
def verify(
    *,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that running readers may take to reach the head.")] = 30.0,
) -> None:
    """Say whether the whole log and all that was made of it add up; exit code 0 when nothing is wrong."""
    from daemons.cli.verify import run

    raise typer.Exit(run(load_settings(), as_json=json, wait=wait))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to this release's."""
    import asyncio

    from core.bootstrap import migrate_database

    settings = load_settings()
    schema = asyncio.run(migrate_database(settings))
    say(f"the schema is at {schema}")
    _note(settings, "orderdeck migrate", f"schema {schema}")


@app.command()
def daemon(name: Annotated[str, typer.Argument(help="For example command-api.")]) -> None:
    """Run one daemon in the foreground."""
    from daemons.process.program_list import all_processes, counts_in

    settings = load_settings()
    processes = {each.name: each for each in all_processes(counts_in(settings))}
    if name not in processes:
        fail(f"there is no daemon {name}: it is one of {', '.join(processes)}")
    process = processes[name]
    number = [] if process.number is None else [str(process.number)]
    _become(settings, "-m", process.program.module, *number)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def ctl(context: typer.Context) -> None:
    """Run supervisorctl of this home, for example `orderdeck ctl tail -f projector`."""
    from core.home import Home
    from daemons.host.supervisor import Supervisor

    settings = _settings_to_stop_with()
    socket = Home(settings.home).supervisor_socket
    Supervisor(Home(settings.home)).runs()  # supervisorctl would wait for a frozen one for ever
    if not socket.exists():
        fail(f"nothing runs in {settings.home}: `orderdeck up` first, or set ORDERDECK_HOME")
    if not context.args or context.args[0] in CHANGES_DAEMONS:
        _note(settings, "orderdeck ctl", " ".join(context.args) or "the prompt of supervisorctl")
    _become(settings, "-c", "from daemons.cli.ctl import main; main()", "-s", f"unix://{socket}", *context.args)


@app.command()
def doctor() -> None:
    """Say in words what is wrong with this installation. Exit code 0 when nothing is."""
    from daemons.cli.doctor import examine

    raise typer.Exit(examine(load_settings()))


def _settings_to_stop_with(*, but_not: str = "") -> Settings:
    """The settings; where some are wrong, say so and go on with the home alone, unless an option needs the others."""
    from core.home_setting import settings_to_stop_with
    from daemons.cli.output import tell

    settings, wrong = settings_to_stop_with()
    if wrong is not None and but_not:
        fail(f"{wrong}; without {but_not} the command goes on")
    if wrong is not None:
        tell(f"orderdeck: {wrong}; going on in {settings.home}")
    return settings


def _note(settings: Settings, action: str, target: str = "") -> None:
    """Record in the audit what is done; say so when that is not possible, and go on."""
    from daemons.cli.output import tell
    from daemons.host.own_audit import record_act

    if (why := record_act(settings, action, target)) is not None:
        tell(f"orderdeck: {why}")


def _become(settings: Settings, *arguments: str) -> NoReturn:
    from daemons.host.supervisor import environment

    letters = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    env = environment(settings) | {"PYTHONIOENCODING": f"{letters}:backslashreplace"}  # as `any_stdout` does for us
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C waits until the program has loaded all it needs
    python = [sys.executable, "-P", *arguments]  # -P: the modules in the folder where somebody calls us are not ours
    os.execve(sys.executable, python, env)  # noqa: S606 - our own interpreter


if __name__ == "__main__":
    main()
