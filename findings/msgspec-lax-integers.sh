#!/usr/bin/env bash
# msgspec's lax mode reads whole numbers as JSON writes numbers, not as people write digits in a query string.
#
# Expected: with strict=False a text becomes an int where int() takes it and it has only digits: "007" is 7, "1e3" is refused.
# Seen (msgspec 0.22.0, CPython 3.11): "1e3" is 1000 and "1.0" is 1, while "007", "+5" and " 5" are refused as being no int.
# So a page number of a URL with a zero in front is an error, and an exponent is a page.
# Source: https://jcristharif.com/msgspec/usage.html, "Strict" vs "Lax" mode, which says that texts become ints, not which.
# In Footfall: api/http/query.py reads digits itself and leaves only the limits to msgspec.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "msgspec==0.22.0"
"$dir/venv/bin/python" - <<'PY'
import msgspec

def lax(text):
    try:
        return msgspec.convert(text, int, strict=False)
    except msgspec.ValidationError as error:
        return str(error)

seen = {text: lax(text) for text in ("7", "1e3", "1.0", "007", "+5", " 5")}
print("msgspec", msgspec.__version__)
for text, value in seen.items():
    print(f"  {text!r:8} -> {value!r}")
refused = "Expected `int`, got `str`"
expected = {"7": 7, "1e3": 1000, "1.0": 1, "007": refused, "+5": refused, " 5": refused}
assert seen == expected, "the behaviour has changed"
PY
