"""What numba does not make of a loop by itself: vectors that stay in registers, and stores without a check."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
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


def _row_adder(count):
    """An intrinsic that adds up weight rows in ``count`` vector registers of 32 bytes, read and written once.

    Its arguments are those of ``events.gather``: ``acc[0, place :]`` becomes the sum of ``weight[tile, index[i],
    place :]`` over i from ``begin`` to ``end``; places are uintp, unchecked.
    """

    def add_rows(_typing, weight, tile, index, begin, end, acc, place):
        signature = types.void(weight, types.uintp, index, types.uintp, types.uintp, acc, types.uintp)

        def generate(context, builder, signature, arguments):
            matrix = context.make_array(signature.args[0])(context, builder, arguments[0])
            listed = context.make_array(signature.args[2])(context, builder, arguments[2])
            target = context.make_array(signature.args[5])(context, builder, arguments[5])
            word, kind = ir.IntType(64), ir.IntType(signature.args[0].dtype.bitwidth)
            size = kind.width // 8
            vector = ir.VectorType(kind, 32 // size)
            _, rows, width = cgutils.unpack_tuple(builder, matrix.shape, 3)
            tile = builder.mul(builder.mul(arguments[1], rows), width)
            start = builder.gep(matrix.data, [builder.add(tile, arguments[6])])
            zero = ir.Constant(vector, [0] * (32 // size))
            before = builder.block
            check, body, done = (builder.append_basic_block(name) for name in ("check", "row", "done"))
            builder.branch(check)
            builder.position_at_end(check)
            i, sums = builder.phi(word), [builder.phi(vector) for _ in range(count)]
            builder.cbranch(builder.icmp_unsigned("<", i, arguments[4]), body, done)
            builder.position_at_end(body)
            number = builder.zext(builder.load(builder.gep(listed.data, [i])), word)
            row = builder.bitcast(builder.gep(start, [builder.mul(number, width)]), vector.as_pointer())
            parts = [builder.load(builder.gep(row, [ir.Constant(word, v)]), align=size) for v in range(count)]
            added = [builder.add(total, part) for total, part in zip(sums, parts, strict=True)]
            following = builder.add(i, ir.Constant(word, 1))
            builder.branch(check)
            i.add_incoming(arguments[3], before)
            i.add_incoming(following, body)
            for total, new in zip(sums, added, strict=True):
                total.add_incoming(zero, before)
                total.add_incoming(new, body)
            builder.position_at_end(done)
            out = builder.bitcast(builder.gep(target.data, [arguments[6]]), vector.as_pointer())
            for v, total in enumerate(sums):
                builder.store(total, builder.gep(out, [ir.Constant(word, v)]), align=size)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(add_rows)


add_rows_8: Any = _row_adder(8)
add_rows_4: Any = _row_adder(4)
add_rows_2: Any = _row_adder(2)
add_rows_1: Any = _row_adder(1)
