"""Say what runs may ask for: docs/howto/offer-machines.md as a program.

    python examples/offer_machines.py HOME

Writes products, images and limits into HOME, starts a server on it, shows what it offers, and stops it.
"""

import subprocess
import sys
from pathlib import Path

from footfall import Client

SETTINGS = """\
run_timeout_s = 86400.0           # nothing runs longer than a day
project_max_runs = 10             # of each project, at once
fake_gpus = 2                     # to try this without GPUs; leave it out where there are some

[[products]]
code = 1
use = "TRAIN"
cores = 1
memory_mib = 2048
node_counts = [1, 2]

[[products]]
code = 4
use = "DEV"
cores = 1
memory_mib = 1024

[[products]]
code = 20
use = "TRAIN"
cores = 1
memory_mib = 2048
gpus = 2

[[images]]
name = "host"
kind = "host"

[[images]]
name = "tools"
kind = "venv"
target = "{venv}"
"""


def main() -> None:
    """Write settings, start, show, stop."""
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    (home / "footfall.toml").write_text(SETTINGS.format(venv=sys.prefix))
    command = [sys.executable, "-m", "footfall", "up", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            print(server.stdout.readline().strip())
            with Client(home=home) as client:
                for product in client.catalogue.products():
                    print(f"product {product.code}: {product.name}, nodes {product.node_counts}")
                for image in client.catalogue.images():
                    print(f"image {image.path}")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
