"""How a tile comes into planes of states, is mirrored there, and leaves them: compiled, part of the loops.

A plane holds the states of one channel, ``stride`` apart from row to row. ``origin`` is the place in the
picture of its first inner pixel.
"""

# The code below is typed by Numba, from the signature in kernel_loops.build().
# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

from numba import uint8, uint16, uint32

from morpho.compiled.pointers import jit
from morpho.upscale.lanes import store_grey

__all__ = [
    "LEFT",
    "REACH",
    "TOP",
    "carry_rest",
    "load8",
    "load16",
    "mirror",
    "position",
    "store8",
    "store16",
]

#: Pixels that a kernel reaches to any side.
REACH = 2
#: White, in sixths of a grey level.
TOP = 1530
#: Unused columns at the left end of a plane's rows, because vectors run over their ends.
LEFT = 16
UNIT16 = uint32(257)


@jit
def position(stride, origin, y, x):
    """Where pixel ``(y, x)`` of the picture lies in a plane."""
    return (y - origin[0] + REACH) * stride + LEFT + x - origin[1]


@jit
def load8(image, first_row, channel, channels, states, stride, low, high, size):
    """Sixths of one channel of the first stage's pixels and their neighbours, as far as the picture goes."""
    left, right = max(low[1] - REACH, 0), min(high[1] + REACH, size[1])
    for y in range(max(low[0] - REACH, 0), min(high[0] + REACH, size[0])):
        at = position(stride, low, y, left)
        i = ((y - first_row) * size[1] + left) * channels + channel
        for x in range(right - left):
            states[at + x] = uint16(6) * uint16(image[i + x * channels])


@jit
def load16(image, first_row, channel, channels, states, rests, stride, low, high, size):
    """The same of 16 bits: states and what remains."""
    left, right = max(low[1] - REACH, 0), min(high[1] + REACH, size[1])
    for y in range(max(low[0] - REACH, 0), min(high[0] + REACH, size[0])):
        at = position(stride, low, y, left)
        i = ((y - first_row) * size[1] + left) * channels + channel
        for x in range(right - left):
            value = uint32(6) * uint32(image[i + x * channels])
            states[at + x], rests[at + x] = uint16(value // UNIT16), uint16(value % UNIT16)


@jit
def _reflect(i, length):
    if length == 1:
        return 0
    period = 2 * length - 2
    i %= period
    return min(i, period - i)


@jit
def mirror(states, stride, origin, low, high, size):
    """Fill what lies outside the picture from this stage's own state."""
    top, bottom = low[0] - REACH, high[0] + REACH
    left, right = low[1] - REACH, high[1] + REACH
    for x in range(left, right):
        if x < 0 or x >= size[1]:
            mirrored = _reflect(x, size[1])
            for y in range(max(top, 0), min(bottom, size[0])):
                states[position(stride, origin, y, x)] = states[position(stride, origin, y, mirrored)]
    for y in range(top, bottom):
        if y < 0 or y >= size[0]:
            at = position(stride, origin, y, left)
            mirrored = position(stride, origin, _reflect(y, size[0]), left)
            for x in range(right - left):
                states[at + x] = states[mirrored + x]


@jit
def carry_rest(rests, rows, columns, stride, states, child_rests, factor):
    """Take the offset of one off the children, and hand them their parents' remainders unless clipped."""
    for y in range(rows * factor):
        parent = (y // factor) * stride
        child = (REACH + y) * stride + LEFT
        for x in range(columns):
            rest = rests[parent + x]
            for _ in range(factor):
                value = states[child]
                clipped = value == 0 or value > TOP
                child_rests[child] = uint16(0) if clipped else rest
                states[child] = uint16(min(max(value, 1) - 1, TOP))
                child += 1


@jit
def store8(states, plane, out, columns, channels):
    """One row of all channels, rounded and interleaved."""
    done = columns & -32 if channels <= 4 else 0
    for x in range(0, done, 32):
        if channels == 1:
            store_grey(out, x, states, x, plane, 1)
        elif channels == 2:
            store_grey(out, 2 * x, states, x, plane, 2)
        elif channels == 3:
            store_grey(out, 3 * x, states, x, plane, 3)
        else:
            store_grey(out, 4 * x, states, x, plane, 4)
    for x in range(done, columns):
        for channel in range(channels):
            out[x * channels + channel] = uint8((states[channel * plane + x] + 3) // 6)


@jit
def store16(states, rests, plane, out, columns, channels):
    """The same of 16 bits."""
    for x in range(columns):
        for channel in range(channels):
            i = channel * plane + x
            value = UNIT16 * uint32(states[i]) + uint32(rests[i])
            out[x * channels + channel] = uint16((value + uint32(3)) // uint32(6))
