#!/bin/sh
# A command on a machine that others use too: docs/howto/run-commands.md as a script.
#
#     examples/run_commands.sh [PROJECT]
#
# Needs a server (footfall up) and its keys, as every command does.
set -eu
project=${1:-example}
here=$(dirname "$0")

footfall project create "$project" --note "made by an example" > /dev/null
footfall products

# Sends this directory, starts train.py, follows its log, and ends with its exit code.
footfall run --project "$project" --code "$here" --env GREETING=hello -- python3 train.py --lr 0.3

run="$project/1"
footfall logs "$run" --tail 1
footfall metrics "$run"
footfall artifacts get "$run" model.json -
echo

# The same once more, with the same files; then everything goes.
footfall runs restart "$run"
footfall runs wait "$project/2"
footfall runs list --project "$project"
footfall project delete "$project"
