#!/usr/bin/env bash
# Copy a home, whether its server runs or not: docs/howto/back-up.md as a script.
#
#     examples/back_up.sh HOME COPY
#
# COPY is made, readable by its owner alone. The database comes first: whatever else is copied later is then at worst newer.
set -euo pipefail
umask 077
home=$1 copy=$2
mkdir "$copy" "$copy/data"

python3 - "$home/data/footfall.db" "$copy/data/footfall.db" <<'END'
import sqlite3
import sys

source, target = (sqlite3.connect(path) for path in sys.argv[1:])
with source, target:
    source.backup(target)
END

for name in data/buckets data/internal data/runs secret credentials.toml footfall.toml; do
    if [[ -e $home/$name ]]; then cp -a "$home/$name" "$copy/$name"; fi
done
echo "$home is copied to $copy"
