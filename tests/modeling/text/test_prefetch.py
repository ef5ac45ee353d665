"""Asking for memory ahead: it must reach the machine code, or it does nothing and nobody notices."""

import re

import numpy as np
import pytest
from numba import njit, types

from footfall.modeling.text.prefetch import prefetch


@pytest.mark.parametrize("kind", [types.uint64, types.int8])
def test_a_prefetch_is_an_instruction_of_the_compiled_code(kind: types.Type) -> None:
    @njit
    def touch(x_S: np.ndarray, i: int) -> None:
        prefetch(x_S, i)

    signature = (types.Array(kind, 1, "C"), types.intp)
    touch.compile(signature)
    assert "call void @llvm.prefetch" in touch.inspect_llvm(signature)
    assert re.search(r"\bprefetcht0\b|\bprfm\b", touch.inspect_asm(signature)), "as x86 and ARM call it"
