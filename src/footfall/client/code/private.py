"""What is not sent unless somebody asks for it: keys, passwords, homes of servers, virtual environments."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

MAX_LOOK_BYTES = 1 << 18
PRIVATE_MARKS = ("pyvenv.cfg", "credentials.toml")
"""Files that make a directory a private one."""
_BY_NAME = (
    "id_rsa", "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", ".netrc", "_netrc", ".pgpass", ".my.cnf",
    ".git-credentials", ".htpasswd", "*.ppk", "*.p12", "*.pfx", "*.jks", "*.kdbx",
)  # fmt: skip
_BY_CONTENT = (
    "*.pem", "*.key", "*.asc", "id_*", "*.env", ".env", ".env.*", ".envrc", "*credential*", "*secret*", "*token*",
    "*service*account*", "*_key", "*-key", "*_key.json", "*-key.json", ".pypirc", ".npmrc", "kubeconfig", "*.kubeconfig",
)  # fmt: skip
_CODE = (".py", ".pyi", ".ipynb", ".js", ".ts", ".c", ".cc", ".cpp", ".h", ".rs", ".go", ".java", ".md", ".rst", ".html", ".pub")
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\"private_key\"\s*:\s*\"")
_SECRET_VALUE = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?[\"']?[\w./:-]*(?:secret|token|passw|credential|api_?key|access_?key|client-key-data)"
    rb"[\w.-]{0,64}[\"']?[ \t]*[=:][ \t]*[\"']?[^\s\"'$<{]{6,}",
    re.IGNORECASE | re.MULTILINE,
)


def kind_of_directory(directory: Path, names: set[str]) -> str | None:
    """Return why a directory with these names in it is left out, if it is."""
    if "pyvenv.cfg" in names:
        return "a virtual environment of Python, which works only where it was made"
    if is_home(directory, names):
        return "the home of a Footfall server, with its keys and data"
    return None


def is_home(directory: Path, names: set[str]) -> bool:
    """Whether a directory with these names in it is the home of a server."""
    is_like_one = "credentials.toml" in names or "footfall.toml" in names
    return is_like_one and ((directory / "secret" / "key").is_file() or (directory / "data" / "footfall.db").is_file())


def kind_of_file(path: Path) -> str | None:
    """Return why a file is left out, if it is: its name or its content is that of a key or of passwords."""
    name = path.name.lower()
    if any(fnmatchcase(name, pattern) for pattern in _BY_NAME):
        return "by its name it holds a key or passwords"
    if name.endswith(_CODE) or not any(fnmatchcase(name, pattern) for pattern in _BY_CONTENT):
        return None
    try:
        with path.open("rb") as file:
            content = file.read(MAX_LOOK_BYTES)
    except OSError:
        return None  # packing says why it cannot be read
    if _PRIVATE_KEY.search(content):
        return "it holds a private key"
    if b"\0" not in content and _SECRET_VALUE.search(content):
        return "it holds passwords or keys"
    return None
