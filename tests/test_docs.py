"""The documents say what the code does: generated pages are up to date, everything has its entry, links resolve."""

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from footfall import errors
from footfall.api.http.errors import CODES
from footfall.api.nclue.wire import _FAIL_NAMES
from footfall.api.table import OPERATIONS
from footfall.cli.main import cli
from footfall.config import Settings
from footfall.states import TRANSITIONS, FailureReason, RunState
from reference import pages as reference

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCE = "\n".join(file.read_text("utf-8") for file in (ROOT / "src").rglob("*.py"))

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert page(name) == reference.PAGES[name](), "run `make docs`"


def test_the_tree_of_the_readme_is_the_disk() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme == reference.with_tree(readme), "run `make docs`"
    assert "src/footfall/cli/main.py  — " in readme


def test_the_numbers_of_the_page_on_performance_are_those_that_were_measured() -> None:
    text = (ROOT / "docs" / "explanation" / "performance.md").read_text("utf-8")
    made = reference.with_numbers(text, reference.RESULTS)
    assert text == made == reference.with_numbers(made, reference.RESULTS), "run `make docs`"
    assert reference.with_numbers(text, ROOT / "no results") == text


def commands(group: click.Group, path: str = "footfall") -> list[str]:
    found: list[str] = []
    for name, command in group.commands.items():
        found.append(f"{path} {name}")
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
    return found


def test_every_command_has_its_entry() -> None:
    assert all(re.search(rf"^#+ `{command}[ `]", page("cli.md"), re.MULTILINE) for command in commands(cli))


def test_every_setting_has_its_entry() -> None:
    assert all(f"| `{each.name}` |" in page("settings.md") for each in fields(Settings))


def test_every_state_transition_and_reason_has_its_entry() -> None:
    text = page("states.md")
    assert all(f"| `{state}` |" in text for state in [*RunState, *FailureReason])
    assert all(f"| `{before}` | `{after}` |" in text for before, after in TRANSITIONS)


def test_every_error_code_has_its_entry() -> None:
    text = page("errors.md")
    assert all(f"| {code.status} | `{code.code}` | `{code.message}` |" in text for code in CODES)


def test_every_fail_message_that_the_code_can_give_has_its_entry() -> None:
    named = set(_FAIL_NAMES.values()) | {"CANCELLED"} | set(re.findall(r'DataError\(\s*"([A-Z_]+)"', SOURCE))
    assert named <= {name for name, *_ in reference.FAIL_MESSAGES}


def test_every_exception_has_its_entry() -> None:
    names = [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(f"`{name}`" in page("errors.md") for name in names)


def test_every_operation_has_its_entry() -> None:
    text = page("api.md")
    assert all(operation.path in text and operation.method in text for operation in OPERATIONS)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    text = _FENCE.sub("", file.read_text("utf-8"))
    for target in _LINK.findall(text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        goal = (file.parent / path).resolve() if path else file
        assert goal.exists(), f"{file.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", goal.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}, target


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_page_has_one_title_and_short_lines(file: Path) -> None:
    text = _FENCE.sub("", file.read_text("utf-8"))
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    assert not re.search(r"[ \t]$", text, re.MULTILINE)


def shown_commands() -> list[str]:
    """Return every `footfall …` line that a page tells somebody to type."""
    found = set()
    for file in PAGES:
        for _, block in _FENCE.findall(file.read_text("utf-8")):
            joined = block.replace("\\\n", " ")
            found |= set(re.findall(r"^\$ (?:\S+=\S+ )*(?:\.venv/bin/)?footfall ([^#\n]*)", joined, re.MULTILINE))
    return sorted(found)


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_that_a_page_shows_parses(line: str) -> None:
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
    command: click.Command = cli
    context = click.Context(cli, info_name="footfall")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        assert name in command.commands, line
        command = command.commands[name]
    if not isinstance(command, click.Group):
        command.make_context(command.name, words, parent=context, resilient_parsing=False)


def test_where_names_files_that_exist() -> None:
    paths = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "where.md").read_text("utf-8"))
    assert paths
    assert not [path for path in paths if not (ROOT / "src" / "footfall" / path).exists()]


def test_decisions_are_numbered_without_gaps_and_have_three_parts() -> None:
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    for file in files:
        text = file.read_text("utf-8")
        assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Consequences")), file.name


def test_python_in_pages_compiles() -> None:
    for file in PAGES:
        for language, block in _FENCE.findall(file.read_text("utf-8")):
            if language == "python":
                compile(block, str(file), "exec")


def test_the_glossary_is_in_order_and_has_each_word_once() -> None:
    words = re.findall(r"^\| ([^|]+?) \| ", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)[1:]
    assert words == sorted(words, key=str.lower)
    assert len(words) == len(set(words))


def test_the_page_on_isolation_shows_what_the_probe_tries() -> None:
    text = (ROOT / "docs" / "explanation" / "isolation.md").read_text("utf-8")
    assert "| signal the server's process | refused | refused |" in text
    assert text == reference.with_attempts(text), "run `make docs`"
