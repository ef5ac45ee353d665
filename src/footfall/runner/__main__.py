"""``python -I -S …/runner/__main__.py NODE_DIRECTORY``: run one node of one attempt of a run.

Started as a file and without site-packages, for nothing but the standard library and this package is needed, and looking
for more would take longer than all else before the command runs. ``--probe`` tries how commands can be kept apart here.
"""

import os
import sys


def main() -> int:
    """Run what the arguments name and return the exit code."""
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    if sys.argv[1] == "--probe":
        from footfall.runner.probing.probe import probe

        return probe()
    from footfall.runner.supervise import run_node

    return run_node(sys.argv[1])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:  # noqa: BLE001 - what the runner cannot handle goes to runner.log
        import traceback

        traceback.print_exc()
        sys.exit(70)
