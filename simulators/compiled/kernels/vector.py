"""What numba does not make of a loop by itself: one vector load, add and store."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 8


def _store_shifted(_typing, table, row, first, out, place):
    """``out[place : place + 8] = first + table[row]``, without any check.

    Args:
        table: (R, 8), contiguous, of the type of ``out``. row: uintp.
        first: of that type too.
        out: one-dimensional, contiguous. place: uintp.
    """
    signature = types.void(table, types.uintp, out.dtype, out, types.uintp)

    def generate(context, builder, signature, arguments):
        kind = ir.IntType(signature.args[3].dtype.bitwidth)
        vector, align = ir.VectorType(kind, LANES), kind.width // 8
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        target = context.make_array(signature.args[3])(context, builder, arguments[3])
        start = builder.mul(arguments[1], ir.Constant(ir.IntType(64), LANES))
        entry = builder.bitcast(builder.gep(source.data, [start]), vector.as_pointer())
        splat = builder.insert_element(ir.Constant(vector, ir.Undefined), arguments[2], ir.Constant(ir.IntType(32), 0))
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        splat = builder.shuffle_vector(splat, ir.Constant(vector, ir.Undefined), everywhere)
        place = builder.bitcast(builder.gep(target.data, [arguments[4]]), vector.as_pointer())
        builder.store(builder.add(builder.load(entry, align=align), splat), place, align=align)
        return context.get_dummy_value()

    return signature, generate


store_shifted: Any = intrinsic(_store_shifted)
