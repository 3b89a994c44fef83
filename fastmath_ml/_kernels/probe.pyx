"""What the machine can do: loops that do nothing but arithmetic, or nothing but touch memory.

The benchmarks divide by these figures, so each loop is the simplest one that keeps its unit busy,
written in the same vocabulary and compiled for the same level as the kernels it judges.
Every function releases the GIL: the peak of n threads is n Python threads that call it at once.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from cpython.buffer cimport (
    PyBUF_CONTIG, PyBUF_CONTIG_RO, PyBuffer_Release, PyObject_GetBuffer, Py_buffer,
)

from fastmath_ml._kernels.simd cimport (
    vec, vlanes, vload, vmax_fast, vmul_add, vreduce_max, vset, vsum,
)

ctypedef fused real:
    float
    double


cdef double fma_chains(real scale, Py_ssize_t n_rounds) noexcept nogil:
    """Twelve independent chains x <- x·scale + step, one fused multiply-add each per round.

    Twelve cover a latency of four to five cycles on two units and leave registers for the
    operands even where there are sixteen. The chain runs through the *factor*, so that no product
    can be hoisted out of the loop, and each chain starts elsewhere, so that none can be merged;
    with scale < 1 all of them converge and never meet a denormal.
    """
    cdef vec[real] factor = vset(scale)
    cdef vec[real] step = vset(<real>0.25)
    cdef vec[real] x0 = vset(<real>1), x1 = vset(<real>2), x2 = vset(<real>3)
    cdef vec[real] x3 = vset(<real>4), x4 = vset(<real>5), x5 = vset(<real>6)
    cdef vec[real] x6 = vset(<real>7), x7 = vset(<real>8), x8 = vset(<real>9)
    cdef vec[real] x9 = vset(<real>10), x10 = vset(<real>11), x11 = vset(<real>12)
    cdef Py_ssize_t _round
    for _round in range(n_rounds):
        x0 = vmul_add(x0, factor, step)
        x1 = vmul_add(x1, factor, step)
        x2 = vmul_add(x2, factor, step)
        x3 = vmul_add(x3, factor, step)
        x4 = vmul_add(x4, factor, step)
        x5 = vmul_add(x5, factor, step)
        x6 = vmul_add(x6, factor, step)
        x7 = vmul_add(x7, factor, step)
        x8 = vmul_add(x8, factor, step)
        x9 = vmul_add(x9, factor, step)
        x10 = vmul_add(x10, factor, step)
        x11 = vmul_add(x11, factor, step)
    return vsum(x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11)


def fma_peak(str dtype_char, Py_ssize_t n_rounds):
    """Run `n_rounds` rounds of fused multiply-adds; the floating-point operations done.

    dtype_char: 'f' for float32, 'd' for float64. A multiply-add counts as two operations, also
    where the level has no fused instruction for it.
    """
    cdef double checksum
    cdef Py_ssize_t n_lanes
    if dtype_char == "f":
        n_lanes = vlanes(<float>0)
        with nogil:
            checksum = fma_chains(<float>0.75, n_rounds)
    elif dtype_char == "d":
        n_lanes = vlanes(<double>0)
        with nogil:
            checksum = fma_chains(<double>0.75, n_rounds)
    else:
        raise ValueError(f"dtype_char must be 'f' or 'd', got {dtype_char!r}")
    if checksum != checksum:
        raise FloatingPointError("the chains diverged")
    return 2 * 12 * n_lanes * n_rounds


# What was read last, so that no compiler leaves the reading out.
cdef volatile float last_read


cdef float read_all(const uint8_t* data, Py_ssize_t n_bytes, Py_ssize_t n_rounds) noexcept nogil:
    """Load every whole group of eight vectors, `n_rounds` times.

    As float32, whatever they are: a maximum takes the same time for any bits.
    """
    cdef Py_ssize_t n_lanes = vlanes(<float>0)
    cdef Py_ssize_t n_groups = n_bytes // (32 * n_lanes)
    cdef vec[float] most0, most1, most2, most3
    cdef const float* p
    cdef Py_ssize_t _round, _group
    for _round in range(n_rounds):
        p = <const float*>data
        for _group in range(n_groups):
            most0 = vmax_fast(most0, vload(p))
            most1 = vmax_fast(most1, vload(p + n_lanes))
            most2 = vmax_fast(most2, vload(p + 2 * n_lanes))
            most3 = vmax_fast(most3, vload(p + 3 * n_lanes))
            most0 = vmax_fast(most0, vload(p + 4 * n_lanes))
            most1 = vmax_fast(most1, vload(p + 5 * n_lanes))
            most2 = vmax_fast(most2, vload(p + 6 * n_lanes))
            most3 = vmax_fast(most3, vload(p + 7 * n_lanes))
            p += 8 * n_lanes
    return vreduce_max(vmax_fast(vmax_fast(most0, most1), vmax_fast(most2, most3)))


def read_stream(source, Py_ssize_t n_rounds=1):
    """Read the buffer `source` from end to end `n_rounds` times; the bytes read."""
    cdef Py_buffer view
    global last_read
    PyObject_GetBuffer(source, &view, PyBUF_CONTIG_RO)
    try:
        with nogil:
            last_read = read_all(<const uint8_t*>view.buf, view.len, n_rounds)
        return view.len * n_rounds
    finally:
        PyBuffer_Release(&view)


def copy_stream(target, source, Py_ssize_t n_rounds=1):
    """Copy buffer `source` to `target` `n_rounds` times; the bytes moved (read plus written)."""
    cdef Py_buffer source_view, target_view
    cdef Py_ssize_t _round
    PyObject_GetBuffer(source, &source_view, PyBUF_CONTIG_RO)
    try:
        PyObject_GetBuffer(target, &target_view, PyBUF_CONTIG)
        try:
            if target_view.len != source_view.len:
                raise ValueError(
                    f"target holds {target_view.len} bytes, source {source_view.len}"
                )
            with nogil:
                for _round in range(n_rounds):
                    memcpy(target_view.buf, source_view.buf, source_view.len)
            return 2 * source_view.len * n_rounds
        finally:
            PyBuffer_Release(&target_view)
    finally:
        PyBuffer_Release(&source_view)
