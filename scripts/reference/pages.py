"""``python -m reference.pages DIRECTORY``, with ``scripts`` on the path: write the reference pages that are made from the code.

A page says in its first lines what it was made from; ``tests/test_docs.py`` fails when one is out of date.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from footfall import errors
from footfall.api.http.errors import CODES
from footfall.cli import output
from footfall.cli.context import shared_options
from footfall.cli.main import cli
from footfall.config import ENVIRONMENT_PREFIX, Settings
from footfall.runner.probing import attempts
from footfall.states import TRANSITIONS, FailureReason, RunState
from reference.http_api import reference_page
from reference.markdown import first_sentence, page_head
from reference.python_client import python_page

FAIL_MESSAGES: tuple[tuple[str, bool, str, str], ...] = (
    ("CANCELLED", False, "somebody cancelled it", "create it again"),
    ("COMMON_ERROR", True, "the job ended with an error of its own", "read its log; report it"),
    ("DISK_SPACE_SHORTAGE", True, "no space, or the account's quota is used up", "delete features and tasks"),
    ("DUPLICATE_USERID", True, "a user id comes twice in the data set", "group the log by user"),
    ("LIMIT_ERROR_MID_LENGTH", True, "a user id has more than 100 characters", "shorten it"),
    ("LOST", False, "its processes vanished in every attempt", "look at the machine's log; create it again"),
    ("NOT_EXIST_FILE", True, "the file is empty or gone", "check the path"),
    ("NUM_OF_LABEL_INSUFFICIENT", True, "too few 0 or 1 among the feature's users", "add labels; compare the ids"),
    ("OBS_DOWNLOAD_FAILED", True, "an object could not be read, or changed meanwhile", "create it again"),
    ("OBS_UPLOAD_FAILED", True, "the result could not be written", "create it again"),
    ("OBS_USER_FILE_ACCESS_ERROR", True, "the store refuses access", "check keys and permissions of the store"),
    ("OUT_OF_MEMORY", False, "it needed more memory than it was given", "raise `behavior_memory_mib`"),
    ("PERSONAL_DATA_NOT_ALLOWED", False, "a line holds personal data", "remove it"),
    ("RESULT_EXISTS", False, "another object is where the result should go", "choose another path"),
    ("TIMED_OUT", False, "it ran longer than allowed, or did not come up", "raise `behavior_timeout_s`"),
    ("UNEXPECTED_FILE_TYPE", True, "a compressed file is broken, or unpacks beyond measure", "compress it again"),
    ("UNEXPECTED_LABEL", True, "a label is not 0 or 1, or a user has both", "correct the line"),
    ("UNEXPECTED_TXT_FORMAT", True, "tabs, control characters, encoding or length of a line", "correct the line"),
    ("UNKNOWN_KEYWORD", False, "the encoder knows no word of any keyword", "use words that behaviors hold"),
)

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
BENCHMARKS = ("api", "engine", "compute", "behavior")
NUMBERS_BEGIN, NUMBERS_END = "<!-- numbers -->", "<!-- /numbers -->"
ATTEMPTS_BEGIN, ATTEMPTS_END = "<!-- attempts -->", "<!-- /attempts -->"

EXIT_CODES = (
    (0, "done"),
    (1, "what was asked for failed: a run, a check of `doctor`, or waiting took too long"),
    (2, "it was asked wrongly: the service or the command line refuses it, and says why"),
    (3, "the service cannot be reached, or does not work"),
    (130, "Ctrl-C"),
)


def main() -> None:
    """Write every page into the directory named on the command line."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (directory / name).write_text(make(), "utf-8")
        output.line(f"{directory / name}")
    readme = directory.parent.parent / "README.md"
    if readme.exists():
        readme.write_text(with_tree(readme.read_text("utf-8")), "utf-8")
        output.line(f"{readme}")
    performance = directory.parent / "explanation" / "performance.md"
    if performance.exists():
        performance.write_text(with_numbers(performance.read_text("utf-8"), RESULTS), "utf-8")
        output.line(f"{performance}")
    isolation = directory.parent / "explanation" / "isolation.md"
    if isolation.exists():
        isolation.write_text(with_attempts(isolation.read_text("utf-8")), "utf-8")
        output.line(f"{isolation}")


def cli_page() -> str:
    """Return the page of all commands."""
    root = click.Context(cli, info_name="footfall")
    shared = "\n".join(f"| `{_usage(option)}` | {option.help} |" for option in shared_options())
    parts = [
        page_head("Command line", "the commands of `footfall.cli`").rstrip() + "\n",
        "Every command also takes these, wherever they stand:\n",
        f"| option | what it does |\n|---|---|\n{shared}\n",
        "Ids may be given as names. Results go to stdout, progress and hints to stderr.\n",
        "## Exit codes\n",
        "| code | means |\n|---|---|",
        "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES) + "\n",
        *_commands(cli, root),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    shared = {name for option in shared_options() for name in option.opts}
    for name in group.list_commands(context):
        command = group.commands[name]
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield f"## `{inner.command_path}`\n\n{_paragraphs(command)}\n"
            yield from _commands(command, inner)
            continue
        level = "##" if context.parent is None else "###"
        usage = " ".join(chunk for chunk in command.collect_usage_pieces(inner) if chunk != "[OPTIONS]")
        yield f"{level} `{inner.command_path}{' ' + usage if usage else ''}`\n\n{_paragraphs(command)}\n"
        own = [each for each in command.params if isinstance(each, click.Option) and not shared & set(each.opts)]
        if own:
            yield "| option | what it does |\n|---|---|"
            yield "\n".join(f"| `{_usage(option)}` | {_option_help(option)} |" for option in own) + "\n"


def _usage(option: click.Option) -> str:
    names = ", ".join(option.opts)
    if option.is_flag or option.count:
        return names
    kind = option.metavar or (
        "\\|".join(option.type.choices) if isinstance(option.type, click.Choice) else option.type.name.upper()
    )
    return f"{names} {kind}"


def _option_help(option: click.Option) -> str:
    text = option.help or ""
    if option.required:
        text += " Required."
    if option.show_default and option.default is not None:
        text += f" Default: {option.default}."
    return text


def _paragraphs(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("\b\n", "")


def settings_page() -> str:
    """Return the page of all settings."""
    rows = []
    for setting in fields(Settings):
        default = setting.default
        shown = "" if default in ("", ()) else str(default).lower() if isinstance(default, bool) else str(default)
        variable = ENVIRONMENT_PREFIX + setting.name.upper()
        where = "`--home`, " if setting.name == "home" else ""
        rows.append(
            f"| `{setting.name}` | {where}`{variable}` | {f'`{shown}`' if shown else 'empty'} | {setting.metadata['doc']} |"
        )
    return (
        page_head("Settings", "`footfall.config.Settings`")
        + "A setting comes from an option of `footfall up`, else from the variable, else from `footfall.toml` in the home\n"
        "directory, else it has its default. `footfall doctor --settings` shows the values in force.\n\n"
        "A name in the file, or a variable `FOOTFALL_…`, that is none of these is refused. Variables that are no settings:\n"
        "`FOOTFALL_ENDPOINT`, `FOOTFALL_ACCESS_KEY`, `FOOTFALL_SECRET_KEY`, `FOOTFALL_API_KEY`, `FOOTFALL_CA_FILE`\n"
        "and `FOOTFALL_PROJECT`, which [clients](../howto/keys.md) read, and a few that our own jobs and tests set.\n\n"
        "```toml\n# footfall.toml\nport = 8700\nbehavior_memory_mib = 8192\n```\n\n"
        "| setting | variable | default | what it is |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def states_page() -> str:
    """Return the page of states, transitions and reasons."""
    members = _docs_of_members(RunState)
    states = "\n".join(f"| `{state}` | {_wire_status(state)} | {members[state.name]} |" for state in RunState)
    order = list(RunState)
    pairs = sorted(TRANSITIONS, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))
    changes = "\n".join(f"| `{before}` | `{after}` |" for before, after in pairs)
    reasons = "\n".join(
        f"| `{reason}` | {reason.message()} | {'yes' if reason.retryable else 'no'} |" for reason in FailureReason
    )
    return (
        page_head("States", "`footfall.states`")
        + "What happens in them: [the life of a run](../explanation/run-lifecycle.md). The *status* of a feature, task or\n"
        "task run is made from the state of its run.\n\n"
        f"| state | status on the wire | means |\n|---|---|---|\n{states}\n\n"
        f"## Changes\n\nNo other change is possible.\n\n| from | to |\n|---|---|\n{changes}\n\n"
        "## Reasons\n\nWhy a run failed. With *another try*, it begins again as long as attempts are left.\n\n"
        f"| reason | message | another try |\n|---|---|---|\n{reasons}\n"
    )


def _wire_status(state: RunState) -> str:
    if state == RunState.CANCELLED:
        return "`failed`, `fail_message` `CANCELLED`"
    return "`registered`; `pending` after the first attempt" if state == RunState.REGISTERED else f"`{state}`"


def _docs_of_members(enum: type[Any]) -> dict[str, str]:
    """Return the text below each member; Python itself forgets it."""
    docs, name = {}, ""
    for text in inspect.getsource(enum).splitlines():
        stripped = text.strip()
        if " = " in stripped and stripped.split(" = ")[0].isupper():
            name = stripped.split(" = ")[0]
        elif name and stripped.startswith('"""'):
            docs[name], name = stripped.strip('"'), ""
    return docs


def errors_page() -> str:
    """Return the page of error codes, fail messages and exceptions."""
    codes = "\n".join(
        f"| {code.status} | `{code.code}` | `{code.message}` | {code.meaning} | {_mark(code.is_documented)} |"
        for code in sorted(CODES, key=lambda code: (len(code.code), code.code, code.status))
    )
    names = "\n".join(f"| `{name}` | {cause} | {remedy} | {_mark(known)} |" for name, known, cause, remedy in FAIL_MESSAGES)
    classes = "\n".join(
        f"| {'&nbsp;' * 4 * depth}`{kind.__name__}` | `{kind.code}` | {first_sentence(kind)} |"
        for kind, depth in _tree(errors.FootfallError, 0)
    )
    return (
        page_head("Errors", "`footfall.api.http.errors`, `footfall.errors` and `scripts/reference/pages.py`")
        + "## Answers\n\nThe body of every answer that is no success:\n\n"
        '```json\n{"error": {"errorCode": "10102", "message": "DUPLICATE_NAME", "details": "what to do"}}\n```\n\n'
        "`details` is a sentence: what was wrong, what was expected, what to do. Codes of three digits are the gateway's,\n"
        "of five NCLUE's; below `/nsml/v1` the service's own errors bear their HTTP status as code.\n\n"
        f"| HTTP | errorCode | message | means | mark |\n|---|---|---|---|---|\n{codes}\n\n"
        "## `fail_message`\n\nWhy a feature, task, task run or profile is `failed`; `fail_details` (ours) says where and\n"
        "what to do.\n\n"
        f"| name | cause | remedy | mark |\n|---|---|---|---|\n{names}\n\n"
        "## Exceptions\n\nIn Python, `code` is a word for programs and the text a sentence for people. The client raises\n"
        "`ServiceError` with `status`, `error_code`, `symbol` and `trace_id`; `status` is 0 when nothing answered.\n\n"
        f"| class | code | means |\n|---|---|---|\n{classes}\n"
    )


def _tree(kind: type[errors.FootfallError], depth: int) -> Iterator[tuple[type[errors.FootfallError], int]]:
    yield kind, depth
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below, depth + 1)


def _mark(is_documented: bool) -> str:
    return "documented" if is_documented else "ours"


def with_tree(readme: str) -> str:
    """Return the README with the list of files below its heading "The tree" made anew."""
    before, heading, after = readme.partition("\n## The tree\n")
    opening, _, rest = after.partition("```text\n")
    _, _, behind = rest.partition("```\n")
    return f"{before}{heading}{opening}```text\n{tree()}```\n{behind}" if heading else readme


def tree() -> str:
    """Return a line for each Python file: its path and the first words of its docstring."""
    root = ROOT / "src" / "footfall"
    files = sorted(root.rglob("*.py"), key=lambda file: (file.parent.parts, file.name != "__init__.py", file.name))
    lines = []
    for file in files:
        doc = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        lines.append(f"src/footfall/{file.relative_to(root).as_posix()}  — {_gist(doc)}\n")
    return "".join(lines)


def _gist(doc: str) -> str:
    """Return the first sentence of a docstring, cut where it can be when it is long."""
    first = " ".join(doc.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[\w`)])[.!?](?= |$)", first)[0].replace("``", "")
    if len(sentence) > 90:
        cuts = [found.start() for found in re.finditer(r"[:;,] ", sentence) if 20 < found.start() <= 90]
        sentence = sentence[: cuts[-1]] if cuts else textwrap.shorten(sentence, 90, placeholder=" …")
    return sentence.rstrip(":")


def with_attempts(page: str) -> str:
    """Return the page on isolation with the table between its marks made anew from the probe's."""
    before, mark, after = page.partition(ATTEMPTS_BEGIN)
    _, end, behind = after.partition(ATTEMPTS_END)
    rows = "".join(f"| {what} | {' | '.join(each or '(works)' for each in ends)} |\n" for what, ends, _ in attempts.ATTEMPTS)
    head = f"| a command tries to | {' | '.join(f'`{level}`' for level in attempts.LEVELS)} |\n|---|---|---|\n"
    return f"{before}{mark}\n{head}{rows}{end}{behind}" if end else page


def with_numbers(page: str, results: Path) -> str:
    """Return the page on performance with the table between its marks made anew from what the benchmarks wrote."""
    found = [results / f"{name}.json" for name in BENCHMARKS]
    parts = [_numbers(file.stem, json.loads(file.read_text("utf-8"))) for file in found if file.exists()]
    before, mark, after = page.partition(NUMBERS_BEGIN)
    _, end, behind = after.partition(NUMBERS_END)
    if not parts or not end:
        return page
    return before + mark + "\n\n" + "\n".join(parts) + "\n" + end + behind


def _numbers(name: str, measured: dict[str, Any]) -> str:
    machine = measured["machine"]
    generator = machine.get("load_generator")
    load = f", load from {generator}" if generator and name == "api" else ""
    rows = "\n".join(
        f"| {row['measure']} | {row['measured']} | {(row.get('bar') or '-').replace('>=', '≥').replace('<=', '≤')} |".replace(
            "->", "→"
        )
        for row in measured["rows"]
    )
    return (
        f"`benchmarks/{name}.py` on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Python {machine['python']}{load}:\n\n| what | measured | must be |\n|---|---|---|\n{rows}\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "api.md": reference_page,
    "cli.md": cli_page,
    "errors.md": errors_page,
    "python.md": python_page,
    "settings.md": settings_page,
    "states.md": states_page,
}


if __name__ == "__main__":
    main()
