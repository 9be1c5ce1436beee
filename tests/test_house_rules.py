"""The house rules that no linter knows; each message says what to do."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from core.adapters.postgres.migrate import checksum, migrations
from core.sagas import SAGAS
from core.settings import Settings, env_names

ROOT = Path(__file__).resolve().parents[1]
CODE = ("core", "daemons", "tui", "tests", "bench")
LONGEST_FILE = 300
SHARED_BY_TESTS = ("tests.support.", "tests.chaos.", "tests.recipes.")
PURE = ("core/domain", "core/projections", "core/sagas", "core/codec.py")
ADR_SECTIONS = ["Status", "Context", "Decision", "Consequences", "What would change our mind"]
LONGEST_ADR = 80  # lines: a page


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_files(*tops: str) -> list[Path]:
    found = chain.from_iterable((ROOT / top).rglob("*.py") if (ROOT / top).is_dir() else [ROOT / top] for top in tops)
    return sorted(found)


def text_files() -> Iterator[tuple[str, str]]:
    """Everything that a person reads: code, SQL, documents, configuration."""
    kinds = {".py", ".sql", ".md", ".toml", ".yml", ".conf", ".tcss", ".txt", ".example", ""}
    generated = {"__pycache__", "__snapshots__", "results", "data", "node_modules"}
    folders = chain.from_iterable((ROOT / top).rglob("*") for top in (*CODE, "docs", "migrations", "deploy"))
    top = [path for path in ROOT.glob("*") if not path.name.startswith(".")]
    for path in chain(
        folders, top, (ROOT / name for name in (".ci/run", ".dockerignore", ".env.example", ".gitignore"))
    ):
        if path.is_file() and path.suffix in kinds and not generated & set(path.parts):
            yield name_of(path), path.read_text(encoding="utf-8")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def trees(*tops: str) -> Iterator[tuple[str, ast.Module]]:
    for path in python_files(*tops):
        yield name_of(path), parsed(path)


# --- files --------------------------------------------------------------------------------------------------
def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(*CODE)}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}, "split these files"


def test_every_module_says_in_its_docstring_what_it_is() -> None:
    silent = [
        name
        for name, tree in trees("core", "daemons", "tui")
        if tree.body and not (ast.get_docstring(tree) or "").strip().split("\n")[0].endswith((".", ":", "?"))
    ]
    assert silent == [], "one sentence: what it is and keeps true"


def test_imports_are_absolute() -> None:
    relative = [
        f"{name}:{node.lineno}"
        for name, tree in trees(*CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name that a module imports, in full, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def test_no_test_imports_another_test() -> None:
    """A helper that stood in a test module would run, or hide, that module's tests wherever it is imported."""
    wrong = [
        f"{name}:{line}: {module}"
        for name, tree in trees(*CODE)
        for line, module in imported(tree)
        if module.startswith("tests.")
        and (not module.startswith(SHARED_BY_TESTS) or re.search(r"\.(test_|conftest)", module))
    ]
    assert wrong == [], "what several tests need stands in tests/support"


def test_programs_import_neither_tests_nor_the_bench() -> None:
    wrong = [
        f"{name}:{line}: {module}"
        for name, tree in trees("core", "daemons", "tui")
        for line, module in imported(tree)
        if module.split(".")[0] in {"tests", "bench"}
    ]
    assert wrong == []


def test_the_code_has_no_todo_comments() -> None:
    left = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b")
    assert [name for name, text in text_files() if left.search(text)] == [], "do it, or open an issue"


def test_no_path_of_somebodys_machine_is_in_the_repository() -> None:
    machine = re.compile(r"(/home|/Users|/wo" + r"rk)/\w|[A-Z]:\\\\Users|\.\./sha" + r"red")
    found = [f"{name}: {hit[0]}" for name, text in text_files() if (hit := machine.search(text))]
    assert found == []


# --- lint ---------------------------------------------------------------------------------------------------
def test_every_rule_that_is_switched_off_has_its_reason() -> None:
    lint = re.search(r"\n\[tool\.ruff\.lint\]\n(.*?)\n\[tool\.(?!ruff)", text_of("pyproject.toml"), re.DOTALL)
    assert lint
    codes = re.compile(r'^\s+"([A-Z]+\d*)",?(.*)$|^"[^"]+" = \[("[A-Z].*")\](.*)$', re.MULTILINE)
    bare = [hit[0] for hit in codes.finditer(lint[1]) if "#" not in (hit[2] or "") + (hit[4] or "")]
    assert bare == [], "say why, in a comment on the same line"


def test_every_noqa_in_the_code_has_its_reason() -> None:
    exception = re.compile(r"#\s*noqa\b(?!.* - )")
    bare = [
        f"{name_of(path)}:{number}"
        for path in python_files("core", "daemons", "tui")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if exception.search(line)
    ]
    assert bare == [], "write `# noqa: CODE - reason`"


# --- purity -------------------------------------------------------------------------------------------------
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "uuid7", "open", "print", "input"}


def test_domain_projections_and_sagas_read_no_clock_and_make_no_random_ids() -> None:
    """That they import nothing of the world is an import contract; this is what remains."""
    impure = [
        f"{name}:{node.lineno}: {ast.unparse(node.func)}"
        for name, tree in trees(*PURE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in IMPURE_CALLS
    ]
    assert impure == [], "take it as an argument"


# --- HTTP ---------------------------------------------------------------------------------------------------
PROVIDER = ("core/adapters/payments/", "core/adapters/memory/payments.py")
SPEAK_HTTP = (*PROVIDER, "core/adapters/webhooks/", "core/adapters/kafka/schema_registry.py", "core/cut_")
STORE_STATUSES = "core/adapters/postgres/append.py"  # the numbers in `idempotency_keys` since the first release
HEADER = re.compile(r"\b(If-Match|ETag|Idempotency-Key|Retry-After|Content-Type|X-Request-Id|Orderdeck-Actor)\b")
STATUS = re.compile(r"(?<![\w.])(201|204|40\d|41[0-5]|422|429|50[1-4])(?![\w.])")
HTTP_IMPORT = re.compile(r"^\s*(?:from|import) (http|httpx|httpcore|litestar|starlette|uvicorn)\b", re.MULTILINE)


def test_the_core_has_no_http_header_import_or_status() -> None:
    spoken = [
        f"{name_of(path)}: {hit[0].strip()}"
        for path in python_files("core")
        if not name_of(path).startswith(SPEAK_HTTP)
        for pattern in (HEADER, HTTP_IMPORT, *((STATUS,) if name_of(path) != STORE_STATUSES else ()))
        for hit in pattern.finditer(path.read_text(encoding="utf-8"))
    ]
    assert spoken == [], "say it in the domain's words; daemons/ words it for HTTP"


def test_the_import_contracts_name_every_package() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]
    assert set(contracts["root_packages"]) == {name for name in CODE if (ROOT / name / "__init__.py").exists()}


# --- sagas --------------------------------------------------------------------------------------------------
def test_only_the_tables_of_the_sagas_know_a_saga_or_a_step_by_its_name() -> None:
    names = {saga.name for saga in SAGAS.values()} | {step.name for saga in SAGAS.values() for step in saga.steps}
    named = re.compile(rf"\b({'|'.join(sorted(names))})\b")
    tables = {f"core/sagas/{name}.py" for name, _ in SAGAS}
    known = [
        f"{name}:{node.lineno}: {node.value!r}"
        for name, tree in trees("core", "daemons")
        if name not in tables
        for node in without_docstrings(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and named.search(node.value)
    ]
    assert known == [], "let the saga's table say it, or import the table and ask it for its name"


def without_docstrings(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes of a module but for the strings that only a person reads."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return (node for node in ast.walk(tree) if id(node) not in docstrings)


# --- migrations ---------------------------------------------------------------------------------------------
def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))
    assert len(list((ROOT / "migrations").glob("*.sql"))) == len(migrations()), "name them 0001_what_it_does.sql"


def test_migrations_are_never_edited() -> None:
    locked = dict(line.split() for line in text_of("migrations/checksums.txt").splitlines())
    actual = {path.name: checksum(path) for _, path in migrations()}
    edited = sorted(name for name, known in locked.items() if actual.get(name) != known)
    assert edited == [], "released databases have these: restore them, and write a new one"
    missing = [f"{name} {actual[name]}" for name in actual if name not in locked]
    assert missing == [], "add these lines to migrations/checksums.txt"


# --- settings -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    first = env_names(name)[0]
    assert re.search(rf"^\|\s*`{first}`", text_of("README.md"), re.MULTILINE), "a row in README's table of settings"
    assert re.search(rf"^#?\s*{first}=", text_of(".env.example"), re.MULTILINE), "a line in .env.example"
    assert f"`{first}`" in text_of("docs/reference/settings.md"), "a row in docs/reference/settings.md"


@pytest.mark.parametrize("document", ["README.md", ".env.example", "docs/reference/settings.md"])
def test_every_documented_setting_exists(document: str) -> None:
    known = {each for field in Settings.model_fields for each in env_names(field)}
    named = set(re.findall(r"\bORDERDECK_[A-Z][A-Z_]+", text_of(document)))
    assert named - known == set()


# --- daemons ------------------------------------------------------------------------------------------------
def daemon_modules() -> set[str]:
    """What runs as `python -m daemons.…`, other than the command itself."""
    guard = '\nif __name__ == "__main__":\n'
    runnable = {name_of(path) for path in python_files("daemons") if guard in path.read_text(encoding="utf-8")}
    modules = {name.removesuffix(".py").removesuffix("/__main__").replace("/", ".") for name in runnable}
    return modules - {"daemons.cli.main"}


def test_every_supervised_program_is_a_daemon_and_every_daemon_is_supervised() -> None:
    supervised = dict(
        re.findall(r"^\[program:(\S+)\]\ncommand=.* -m (\S+)$", text_of("supervisord.conf"), re.MULTILINE)
    )
    assert set(supervised.values()) == daemon_modules()
    assert {name: module.removeprefix("daemons.").replace("_", "-") for name, module in supervised.items()} == {
        name: name for name in supervised
    }


def test_the_import_contracts_name_every_daemon() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    [apart] = [each for each in contracts if each["type"] == "independence" and "No daemon" in each["name"]]
    assert set(apart["modules"]) == daemon_modules()


# --- decisions and changes ----------------------------------------------------------------------------------
def adrs() -> list[Path]:
    return sorted((ROOT / "docs/adr").glob("[0-9]*.md"))


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in adrs()] == list(range(1, len(adrs()) + 1))
    assert len(adrs()) >= 7


@pytest.mark.parametrize("path", adrs(), ids=lambda path: path.stem)
def test_a_decision_is_one_page_with_its_five_sections(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    number, title = int(path.name[:4]), text.splitlines()[0]
    assert re.fullmatch(rf"# {number}\. .+", title)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ADR_SECTIONS
    assert len(text.splitlines()) <= LONGEST_ADR, "one page"
    assert f"({path.name})" in text_of("docs/adr/README.md"), "list it in docs/adr/README.md"


def test_the_changelog_keeps_its_form() -> None:
    text = text_of("CHANGELOG.md")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each) for each in headings[1:])
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
