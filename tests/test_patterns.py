"""Every regular expression of the product takes time in proportion to the text, whoever wrote the text.

The patterns are found, not listed: those of modules by importing all of them, those that are written into a call of ``re`` from
the source. Texts are made from each pattern itself. They are tried in a process of its own with a limit of processor time.
"""

import ast
import importlib
import json
import pkgutil
import re
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import footfall

SMALL, LARGE = 1 << 14, 1 << 17
"""Between these, linear is 8 times, quadratic 64 times."""
MOST_TIMES, LEAST_S, MOST_S = 24, 0.05, 4.0
"""Below the second, nothing grew; above the last, the text is given up."""
MOST_TEXTS = 120
CPU_LIMIT_S = 240
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
ANCHORED = {"match", "fullmatch"}
CATEGORIES = {"DIGIT": "7", "NOT_DIGIT": "a- ", "SPACE": " \n", "NOT_SPACE": "a", "WORD": "a7", "NOT_WORD": " ="}


# --- the patterns ---------------------------------------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(footfall.__path__, "footfall."):
        if info.name.endswith((".__main__", ".migrations.env")):  # these do their work when they are imported
            source = pkgutil.resolve_name(info.name.rpartition(".")[0]).__path__[0]
            assert "import re\n" not in Path(source, f"{info.name.rpartition('.')[2]}.py").read_text("utf-8"), info.name
            continue
        yield importlib.import_module(info.name)


class Locals(dict[str, Any]):
    """The names of a module; what only a function knows is a comma, since it is a mark or a word."""

    def __missing__(self, name: str) -> str:
        return ","


def written(module: ModuleType, methods: dict[str, set[str]]) -> Iterator[tuple[str, re.Pattern[Any], set[str]]]:
    """The patterns in calls of ``re``; what is done with names that hold patterns is put into ``methods``."""
    for node in ast.walk(ast.parse(Path(module.__file__ or "").read_bytes())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in FUNCTIONS:
            continue
        owner = node.func.value
        if not isinstance(owner, ast.Name) or owner.id != "re":
            methods[owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""].add(
                node.func.attr
            )
            continue
        flags = [word.value for word in node.keywords if word.arg == "flags"]
        flags += [
            each for each in node.args[1:] if ast.unparse(each).startswith("re.") and isinstance(each, ast.Attribute | ast.BinOp)
        ]
        known = Locals({**vars(sys.modules["builtins"]), **vars(module)})
        evaluate = partial(evaluated, known=known)
        pattern = re.compile(evaluate(node.args[0]), evaluate(flags[0]) if flags else 0)
        yield f"{module.__name__}:{node.lineno}", pattern, {node.func.attr}


def evaluated(node: ast.expr, known: Locals) -> Any:
    return eval(compile(ast.Expression(node), "pattern", "eval"), {"__builtins__": {}}, known)


def patterns() -> list[tuple[str, re.Pattern[Any], bool]]:
    """Where each is, and whether it is only asked at one place of a text."""
    methods: dict[str, set[str]] = defaultdict(set)
    found: dict[tuple[Any, int], tuple[str, re.Pattern[Any], set[str]]] = {}
    named: list[tuple[str, str, re.Pattern[Any]]] = []
    for module in modules():
        for place, pattern, used in written(module, methods):
            if used != {"compile"}:
                found.setdefault((pattern.pattern, pattern.flags), (place, pattern, used))
            else:
                found.setdefault((pattern.pattern, pattern.flags), (place, pattern, set()))
        named += [(module.__name__, name, value) for name, value in vars(module).items() if isinstance(value, re.Pattern)]
    for module_name, name, pattern in named:
        if module_name.startswith("footfall"):
            found.setdefault((pattern.pattern, pattern.flags), (f"{module_name}.{name}", pattern, set()))[2].update(methods[name])
    return [(place, pattern, bool(used) and used <= ANCHORED) for place, pattern, used in found.values()]


# --- texts made of a pattern ----------------------------------------------------------------------------------------------------


def sample(tree: Iterable[tuple[Any, Any]], choose: Callable[[int], int]) -> str:
    """A text that a pattern may begin with; ``choose`` picks one of so many ways."""
    text = ""
    for code, value in tree:
        if code is op.LITERAL:
            text += chr(value)
        elif code is op.NOT_LITERAL:
            text += "a" if value != ord("a") else "b"
        elif code is op.ANY:
            text += "x"
        elif code is op.IN:
            members = in_class(value)
            text += members[choose(len(members))]
        elif code is op.BRANCH:
            text += sample(value[1][choose(len(value[1]))], choose)
        elif code is op.SUBPATTERN:
            text += sample(value[3], choose)
        elif code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            least, _, inner = value
            text += sample(inner, choose) * (max(least, 1) if least or choose(2) == 0 else 0)
        elif code is op.ATOMIC_GROUP:
            text += sample(value, choose)
    return text


def in_class(members: list[tuple[Any, Any]]) -> str:
    if members[0][0] is op.NEGATE:
        pattern = [(op.IN, members)]
        return "".join(c for c in "ax7 =\n" if re.match(compiled_class(pattern), c))[:2] or "\u00e9"
    chars = ""
    for code, value in members:
        if code is op.LITERAL:
            chars += chr(value)
        elif code is op.RANGE:
            chars += chr(value[0])
        elif code is op.CATEGORY:
            chars += CATEGORIES[str(value).removeprefix("CATEGORY_")]
    return chars[:4]


def compiled_class(pattern: list[tuple[Any, Any]]) -> str:
    """A class without some characters, written anew."""
    parts = ""
    for code, value in pattern[0][1][1:]:
        if code is op.LITERAL:
            parts += f"\\u{value:04x}"
        elif code is op.RANGE:
            parts += f"\\u{value[0]:04x}-\\u{min(value[1], 0xFFFF):04x}"
        elif code is op.CATEGORY:
            parts += {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w", "NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}[
                str(value).removeprefix("CATEGORY_")
            ]
    return f"[^{parts}]"


def samples(pattern: re.Pattern[Any]) -> list[str]:
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    flags = pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, str) else pattern.flags
    tree = parser.parse(text, flags)
    widths: list[int] = []

    def chooser(at: int, which: int) -> Callable[[int], int]:
        number = -1

        def choose(width: int) -> int:
            nonlocal number
            number += 1
            if at < 0:
                widths.append(width)
            return which % width if number == at else 0

        return choose

    made = [sample(tree, chooser(-1, 0)), sample(tree, lambda width: width - 1)]
    for at, width in enumerate(list(widths)):
        made += [sample(tree, chooser(at, which)) for which in range(1, min(width, 6))]
    made += [sample(tree, lambda width, which=which: which % width if width > 2 else width - 1) for which in range(6)]
    return list(dict.fromkeys(each for each in made if each))


def texts(pattern: re.Pattern[Any]) -> list[tuple[str, str]]:
    """Beginnings and what to repeat behind each: prefixes of texts that fit, again and again, and their last character."""
    pairs: dict[tuple[str, str], None] = {}
    for each in samples(pattern):
        for n in range(1, min(len(each), 60) + 1):
            pairs[("", each[:n])] = None
            pairs[(each[:n], each[n - 1])] = None
            pairs[("", each[n - 1])] = None
            pairs[(each[: n - 1], each[max(0, n - 2) : n])] = None
    all_pairs = list(pairs)
    return all_pairs[:: max(1, len(all_pairs) // MOST_TEXTS)]


# --- their growth ---------------------------------------------------------------------------------------------------------------


class GivenUpError(Exception):
    pass


def give_up(*_: object) -> None:
    raise GivenUpError


def spent(pattern: re.Pattern[Any], is_anchored: bool, text: str) -> float:
    data: Any = text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")
    start = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, MOST_S)
        try:
            if is_anchored:
                pattern.fullmatch(data)
                pattern.match(data)
            else:
                for _ in pattern.finditer(data):
                    pass
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    except GivenUpError:  # it may come between the end of the search and that of the timer, too
        return float("inf")
    return time.process_time() - start


def grows_too_fast(pattern: re.Pattern[Any], is_anchored: bool, begin: str, repeated: str) -> bool:
    small, large = (begin + repeated * (size // len(repeated)) + "\0" for size in (SMALL, LARGE))
    took = spent(pattern, is_anchored, large)
    if took < LEAST_S:
        return False
    if took > MOST_S:
        return True
    took = min(took, spent(pattern, is_anchored, large), spent(pattern, is_anchored, large))
    return took > MOST_TIMES * max(1e-4, sorted(spent(pattern, is_anchored, small) for _ in range(3))[1])


def look() -> dict[str, Any]:
    """Return how many patterns there are, and those that grow too fast, each with where it is and the text."""
    signal.signal(signal.SIGVTALRM, give_up)
    found, bad = patterns(), []
    for place, pattern, is_anchored in found:
        for begin, repeated in texts(pattern):
            if grows_too_fast(pattern, is_anchored, begin, repeated):
                bad.append(f"{place}: {pattern.pattern!r} on {begin!r} and {repeated!r} repeated")
                break
    return {"found": [place for place, _, _ in found], "bad": bad}


def in_a_process(what: str) -> Any:
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    here = str(Path(__file__).parent)
    program = f"import sys, json; sys.path.insert(0, {here!r}); import test_patterns as t; print(json.dumps({what}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_security_row_29_every_pattern_takes_time_in_proportion_to_the_text() -> None:
    looked = in_a_process("t.look()")
    assert len(looked["found"]) > 50, "the search for patterns has lost some"
    assert any("personal_data" in place for place in looked["found"])
    assert looked["bad"] == []


def test_security_row_29_the_search_finds_what_grows() -> None:
    """The test of the test: patterns that are known to be quadratic, with texts made from nothing but themselves."""
    for text in (
        r"(?:driv\w*(?:'s)? ?-?licen[cs]e).{0,24}?\d",
        r"<m>.*?</m>",
        r"(a+)+b",
        r"^\s*from x",
        r"\w*secret[\w.-]*=[^ ]{6,}",
    ):
        program = f"any(t.grows_too_fast(p, False, *e) for p in [__import__('re').compile({text!r}, 8)] for e in t.texts(p))"
        prepared = f"[t.signal.signal(t.signal.SIGVTALRM, t.give_up), {program}][1]"
        assert in_a_process(prepared) is True, text
