"""Load the compiler without SciPy, whose linear algebra takes a third of a second, much of a short job.

Numba imports it to see whether compiled code could call BLAS, when compiled code is first used. None of this package does. Should
Numba check in another way one day, jobs start a little later and nothing else changes. Knows no array and no file.
"""

import importlib
import sys


def load_compiler() -> None:
    """Import what compiled code needs at its first call; leaves SciPy alone if it was imported before."""
    if "numba" not in sys.modules or "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules["scipy.linalg"]
