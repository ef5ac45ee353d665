"""Run a server whose buckets are in S3: docs/howto/s3.md as a program.

    S3_ENDPOINT=https://… S3_ACCESS_KEY=… S3_SECRET_KEY=… python examples/use_s3.py HOME

Writes the settings into HOME, starts a server on it, puts an object and reads it back, and stops the server.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from footfall import Client

SETTINGS = """\
store_url = "s3://"
s3_endpoint = {S3_ENDPOINT}
s3_access_key = {S3_ACCESS_KEY}
s3_secret_key = {S3_SECRET_KEY}
"""


def main() -> None:
    """Write settings, start, put and get, stop."""
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    values = {name: json.dumps(os.environ[name]) for name in ("S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")}
    settings = home / "footfall.toml"
    settings.touch(mode=0o600)
    settings.write_text(SETTINGS.format(**values))

    command = [sys.executable, "-m", "footfall", "up", "--home", str(home), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            print(server.stdout.readline().strip())
            with Client(home=home) as client:
                client.put_object("example-s3", "hello.txt", b"hello from S3\n")
                print(b"".join(client.get_object("example-s3", "hello.txt")).decode().strip())
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
