"""Prefetch memory into the processor's cache; compiled.

Tables of a hundred thousand rows do not fit into a core's caches, and each row that is not there costs a hundred steps.
Code that knows some steps ahead which rows come prefetches them. It changes no result. Source: LLVM's ``llvm.prefetch``.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_BYTE_P = ir.IntType(8).as_pointer()
_I32 = ir.IntType(32)
_KIND = ir.FunctionType(ir.VoidType(), [_BYTE_P, _I32, _I32, _I32])


def _prefetch(_context: Any, array: Any, _index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array_of: Callable[..., Any] = cgutils.create_struct_proxy
        view = array_of(signature.args[0])(context, builder, value=args[0])
        place = builder.bitcast(builder.gep(view.data, [args[1]]), _BYTE_P)
        insert: Callable[..., Any] = cgutils.get_or_insert_function
        function = insert(builder.module, _KIND, "llvm.prefetch.p0")
        read, keep, data = (_I32(value) for value in (0, 3, 1))
        builder.call(function, [place, read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


prefetch: Callable[..., Any] = intrinsic(_prefetch)
"""``prefetch(array, i)`` brings the cache line of item i, which is in range, of a one-dimensional array, to be read."""
