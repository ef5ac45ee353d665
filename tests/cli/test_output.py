"""What is printed, to a terminal and elsewhere. Terminals are real pseudo-terminals."""

import json
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from footfall.cli import output

MARKS = "".join(
    map(chr, (0xAD, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xE0041))
)
"""Of no width, or turning the order of writing around."""
ATTACK = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2J\x9b31mc\rd\x00e\x7f"


def on_terminal(code: str, *, columns: int = 100) -> str:
    """Run code with stdout and stderr on a pseudo-terminal; return what a terminal would get."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=slave, stderr=slave, stdin=slave, env=environment)
    os.close(slave)
    seen = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    assert process.wait() == 0, seen
    return seen.decode("utf-8", "replace")


def test_security_18_a_log_on_a_terminal_has_no_control_characters() -> None:
    code = f"from footfall.cli import output; output.raw({ATTACK.encode()!r} + b'\\tz\\n')"
    assert on_terminal(code) == "a]52;c;ZXZpbA==b[2J31mcde\tz\r\n"


def test_security_18_c1_controls_that_are_valid_utf8_are_stripped_too() -> None:
    code = "from footfall.cli import output; output.raw('x\\x9b31my\\n'.encode())"
    assert on_terminal(code) == "x31my\r\n"


def test_security_18_names_in_tables_and_errors_are_stripped() -> None:
    code = (
        "from footfall.cli import output\n"
        f"output.table(['NAME'], [[{ATTACK!r}]])\noutput.problem({ATTACK!r})\noutput.record({{'name': {ATTACK!r}}})"
    )
    seen = on_terminal(code)
    assert "\x1b]52" not in seen
    assert "\x1b[2J" not in seen
    assert "\x07" not in seen
    assert "\x9b" not in seen


def test_a_log_into_a_file_is_byte_exact(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output.raw(ATTACK.encode() + b"\xff")
    assert capfdbinary.readouterr().out == ATTACK.encode() + b"\xff"


@given(st.text())
def test_stripping_leaves_no_control_but_tab_and_newline(text: str) -> None:
    stripped = output.strip_controls(text)
    assert not any((ord(each) < 32 and each not in "\t\n") or 127 <= ord(each) < 160 for each in stripped)
    assert output.strip_controls(stripped) == stripped


@given(st.text())
def test_json_is_json_and_has_no_raw_control_characters(text: str) -> None:
    written = output.json_text({"a": text})
    assert json.loads(written) == {"a": text}
    assert written.replace("\n", "") == output.strip_controls(written).replace("\n", "")


def test_a_table_fits_a_narrow_terminal() -> None:
    code = "from footfall.cli import output\noutput.table(['NAME', 'STATUS', 'ID'], [['n' * 60, 'completed', 'i' * 36]])"
    lines = on_terminal(code, columns=60).splitlines()
    plain = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    assert max(map(len, plain)) <= 60
    assert any("…" in line for line in plain)


def test_a_table_into_a_pipe_is_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["NAME", "N"], [["n" * 300, 1234567]], numbers=[1])
    out = capsys.readouterr().out
    assert "n" * 300 in out
    assert "1,234,567" in out
    assert "\x1b" not in out


def test_wide_letters_are_whole_in_a_pipe_and_keep_columns_in_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["이름", "ID"], [["커피 마시는 사람들", "i1"], ["coffee", "i2"]])
    titles, _, wide, narrow = capsys.readouterr().out.splitlines()
    assert wide.split("   ") == ["커피 마시는 사람들", "i1"]
    assert titles.split() == ["이름", "ID"]
    assert narrow.index("i2") == cell_len("커피 마시는 사람들") + 3


def test_progress_without_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with output.ProgressLine("a feature") as progress:
        progress.show("read", 0, 100)
        progress.show("read", 50, 100)
        progress.show("encode", 10, 40)
    taken = capsys.readouterr()
    assert taken.out == ""
    assert taken.err.splitlines() == ["a feature: read 0 %", "a feature: encode 25 %"]


def test_progress_on_a_terminal_is_a_bar() -> None:
    code = (
        "import time\nfrom footfall.cli import output\n"
        "with output.ProgressLine('a feature') as p:\n"
        "    for n in range(5):\n        p.show('read', n, 4); time.sleep(0.12)"
    )
    seen = on_terminal(code)
    assert "a feature" in seen
    assert "━" in seen


def test_nothing_is_shown_of_what_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    with output.ProgressLine("a file", delay_s=30) as progress:
        progress.show("sent", 1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mark", MARKS)
def test_security_row_18_marks_that_nobody_sees_reach_no_terminal(mark: str) -> None:
    text = f"user{mark}admin{mark}"
    assert output.strip_controls(text) == "useradmin"
    assert mark not in output.json_text({"note": text})
    assert json.loads(output.json_text({"note": text})) == {"note": text}


@pytest.mark.parametrize(
    "text", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0646\u0645\u06cc\u200d\u062e", "\ud55c\uad6d\uc5b4 e\u0301"]
)
def test_security_row_18_what_joins_two_parts_of_one_sign_is_shown(text: str) -> None:
    assert output.strip_controls(text) == text


def test_security_row_18_a_terminal_gets_no_mark_of_a_log_a_note_or_a_name() -> None:
    code = (
        "from footfall.cli import output as o; text = 'ab' + chr(0x202e) + 'cd' + chr(0x200b);"
        "o.raw(text.encode()); o.line(text); o.note(text); o.record({'note': text, 'environment': {text: text}});"
        "o.table(['x'], [[text]])"
    )
    seen = on_terminal(code)
    assert seen.count("abcd") == 7
    assert not set(seen) & {chr(0x202E), chr(0x200B)}
