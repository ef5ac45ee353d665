"""``python -m footfall.runner NODE_DIRECTORY``: run one node of one attempt of a run."""

import sys
import traceback

from footfall.runner.supervise import run_node

if __name__ == "__main__":
    try:
        sys.exit(run_node(sys.argv[1]))
    except Exception:  # noqa: BLE001 - the door of the runner: what it cannot handle goes to runner.log
        traceback.print_exc()
        sys.exit(70)
