"""A job that scores starts without the libraries that only learning needs."""

import subprocess
import sys

_SCRIPT = """
import sys
import footfall.jobs.score_task_run
from footfall.modeling.numba_start import load_compiler
from footfall.modeling.scoring.score import write_lines
import numpy as np
load_compiler()
line = write_lines(np.frombuffer(b"u", np.uint8), np.array([0, 1], np.int32), np.array([0.5]))
assert line.tobytes() == b"u\\t0.500000\\n"
heavy = {"scipy.linalg", "sklearn", "lightgbm", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
import scipy.linalg  # and it is there for who asks
"""


def test_scoring_loads_no_library_of_learning() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
