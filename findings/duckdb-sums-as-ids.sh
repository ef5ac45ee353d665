#!/usr/bin/env bash
# DuckDB writes HUGEINT, the type of every sum() of integers, as DOUBLE to Parquet: whole numbers beyond 2**53 run together, unsaid.
#
# Expected: a column of 128-bit whole numbers becomes DECIMAL(38,0), as Parquet can hold it, or COPY refuses it.
# Seen (DuckDB 2.0.1): the column is DOUBLE; 200 different ids are one value in the file; COPY says nothing.
# Source: https://duckdb.org/docs/stable/data/parquet/overview, which does not list what becomes of HUGEINT.
# In Footfall: user ids of a floating type beyond 2**53 are refused with the cast that helps (docs/reference/data-formats.md).
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check "duckdb==2.0.1" "pyarrow==26.0.1"
"$dir/venv/bin/python" - "$dir/ids.parquet" <<'PY'
import sys

import duckdb
import pyarrow.parquet as parquet

path = sys.argv[1]
duckdb.sql(f"""
    COPY (SELECT part, sum(part + 9007199254740992 * 512) AS user_id FROM range(200) t(part) GROUP BY part) TO '{path}'
""")
print("duckdb", duckdb.__version__)
kind = parquet.read_schema(path).field("user_id").type
n_ids = len(set(parquet.read_table(path)["user_id"].to_pylist()))
print(f"  200 ids, each a sum() of integers -> {kind}, {n_ids} of them differ")
assert (str(kind), n_ids) == ("double", 1), "the behaviour has changed"
PY
