"""A container engine of our own, for machines without one: a program that obeys the verbs that docker and podman share.

It keeps each image as a tar and each container as a name, in the directory beside it. ``slow`` there: an export waits in the
middle until that file is gone. ``fails-once``: the next list of images fails. ``broken``: everything does.
"""

import os
import sys
from pathlib import Path

PROGRAM = """#!{python} -I
import hashlib, json, pathlib, sys, time
here = pathlib.Path({state!r})
verb, rest = sys.argv[1], sys.argv[2:]
def fail(text):
    print("Error: " + text, file=sys.stderr)
    sys.exit(125)
def find(name):
    for path in here.glob("image-*.json"):
        content = json.loads(path.read_text())
        if name in (content["Id"], content["name"]):
            return content
    fail("no such image: " + name)
with (here / "asked").open("a") as file:
    print(*sys.argv[1:], file=file)
if (here / "broken").exists():
    fail("the daemon is not there")
if verb == "import":
    data = sys.stdin.buffer.read()
    changes = [word[len("--change=ENV "):] for word in rest if word.startswith("--change=ENV ")]
    name = rest[-1]
    id = hashlib.sha256(data + name.encode()).hexdigest()
    (here / ("image-" + id + ".tar")).write_bytes(data)
    (here / ("image-" + id + ".json")).write_text(json.dumps({{"Id": id, "name": name, "Config": {{"Env": changes}}}}))
elif verb == "image" and rest[0] == "inspect":
    print(json.dumps([find(rest[1])]))
elif verb == "image" and rest[0] == "ls":
    if (here / "fails-once").exists():
        (here / "fails-once").unlink()
        fail("an image was removed meanwhile")
    for path in sorted(here.glob("image-*.json")):
        print(json.loads(path.read_text())["name"])
elif verb == "create":
    name, image = rest[rest.index("--name") + 1], find(rest[-2])
    if (here / ("container-" + name)).exists():
        fail("the name is in use: " + name)
    (here / ("container-" + name)).write_text(image["Id"])
elif verb == "export":
    data = (here / ("image-" + (here / ("container-" + rest[0])).read_text() + ".tar")).read_bytes()
    half = len(data) // 2
    sys.stdout.buffer.write(data[:half])
    sys.stdout.buffer.flush()
    if (here / "slow").exists():
        (here / "exporting").touch()
    while (here / "slow").exists():
        time.sleep(0.01)
    sys.stdout.buffer.write(data[half:])
elif verb == "rm":
    (here / ("container-" + rest[-1])).unlink(missing_ok=True)
elif verb == "rmi":
    id = find(rest[-1])["Id"]
    for kind in ("tar", "json"):
        (here / ("image-" + id + "." + kind)).unlink()
else:
    fail("unknown verb " + verb)
"""


def install(directory: Path, name: str = "docker") -> Path:
    """Put the program into a directory and return where it keeps its state."""
    state = directory / f"{name}-state"
    state.mkdir(parents=True)
    program = directory / name
    program.write_text(PROGRAM.format(python=sys.executable, state=str(state)))
    program.chmod(0o755)
    return state


def path_with(directory: Path) -> str:
    """Return a PATH on which that program comes first."""
    return f"{directory}:{os.environ.get('PATH', os.defpath)}"
