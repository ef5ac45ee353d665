"""Change the caller's key without a moment in which none works: docs/howto/keys.md as a program.

    python examples/rotate_keys.py CREDENTIALS_FILE

Makes a new pair, tries it, writes it into the file, and only then stops and deletes the old one.
"""

import os
import sys
import tomllib
from pathlib import Path

from footfall import Client


def main() -> None:
    """Replace the pair in a credentials file."""
    file = Path(sys.argv[1])
    known = tomllib.loads(file.read_text())
    endpoint, old_key = known["endpoint"], known["access_key"]
    with Client(endpoint, old_key, known["secret_key"]) as client:
        new = client.keys.create()
    if not new.secret_key:
        sys.exit("The service gave no secret; nothing was changed.")

    with Client(endpoint, new.id, new.secret_key) as client:
        list(client.features.list(1))  # the new pair works, or we stop here with the old one still valid
        known |= {"access_key": new.id, "secret_key": new.secret_key}
        draft = file.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.writelines(f'{name} = "{value}"\n' for name, value in known.items())
        draft.replace(file)
        client.keys.stop(old_key)
        client.keys.delete(old_key)
    print(f"{old_key} is deleted; {file} has {new.id}")


if __name__ == "__main__":
    main()
