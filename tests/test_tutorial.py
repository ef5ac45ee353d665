"""The tutorial works as it is written: its commands and its Python are run in order."""

import os
import re
import subprocess
import sys
from pathlib import Path

from live_server import clean_environment, live_server

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ELSEWHERE = ("make ", "export ", "footfall up")  # what the test has done already, each in its own way


def commands(block: str) -> list[str]:
    lines = re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE)
    return [line for line in lines if not line.startswith(_ELSEWHERE)]


def test_the_tutorial_from_start_to_end(tmp_path: Path) -> None:
    (tmp_path / "src").symlink_to(ROOT / "src")
    script = ["set -euo pipefail"]
    for language, block in _FENCE.findall((ROOT / "docs" / "tutorial.md").read_text("utf-8")):
        if language == "console":
            script += commands(block)
        else:
            script += ["python - <<'END'", block.rstrip(), "END"]
    with live_server(tmp_path / "home") as server:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = clean_environment(PATH=path, FOOTFALL_HOME=str(server.home))
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"AUROC +0\.7", done.stdout)
    assert "user_id" in done.stdout
    assert len((tmp_path / "scores.tsv").read_text().splitlines()) == 3370
    assert "Contributions of behaviors" in (tmp_path / "report.html").read_text("utf-8")
