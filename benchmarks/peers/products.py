"""Matrix products, products with vectors, Gram matrices."""

from functools import partial

import numpy as np

from .base import own_out, serial


def numpy_matmul(inputs):
    a, b = inputs.args
    if inputs.out is None:
        return partial(np.matmul, a, b)
    call = partial(np.matmul, a, b, **inputs.kwargs)
    return {"": call, "out=": partial(np.matmul, a, b, own_out(inputs), **inputs.kwargs)}


def scipy_matmul(inputs):
    """BLAS itself, on the Fortran-ordered arrays that it does not need to copy."""
    from scipy.linalg.blas import get_blas_funcs

    a, b = (np.asfortranarray(x) for x in inputs.args)
    gemm = get_blas_funcs("gemm", (a, b))
    out = np.zeros((a.shape[0], b.shape[1]), dtype=a.dtype, order="F")
    into = partial(gemm, 1.0, a, b, 0.0, out, 0, 0, 1)  # trans_a, trans_b, overwrite_c
    return {"": partial(gemm, 1.0, a, b), "out=": into}


def torch_matmul(inputs):
    import torch

    a, b = (torch.from_numpy(x) for x in inputs.args)
    if inputs.out is None:
        return partial(torch.matmul, a, b)
    out = torch.from_numpy(own_out(inputs))
    return {"": partial(torch.matmul, a, b), "out=": partial(torch.matmul, a, b, out=out)}


def torch_integer_matmul(inputs):
    """torch has no dtype=: int8 to int32 is a call of its own, or a product of int32."""
    import torch

    a, b = (torch.from_numpy(x) for x in inputs.args)
    if inputs.out.dtype == a.numpy().dtype:
        return {"": partial(torch.matmul, a, b)}
    wide = [x.to(torch.int32) for x in (a, b)]
    return {"_int_mm": partial(torch._int_mm, a, b), "int32": partial(torch.matmul, *wide)}


@serial
def numkong_matmul(inputs):
    import numkong

    a, b = inputs.args
    return partial(numkong.dots_packed, a, numkong.dots_pack(np.ascontiguousarray(b.T)))


def numpy_products(inputs):
    """np.vecdot, np.matvec or np.vecmat, or np.matmul where that does the same."""
    x1, x2 = inputs.args
    if x1.ndim == x2.ndim:
        return partial(np.vecdot, x1, x2, out=own_out(inputs))
    gufunc = np.matvec if x1.ndim > x2.ndim else np.vecmat
    return {
        gufunc.__name__: partial(gufunc, x1, x2, out=own_out(inputs)),
        "matmul": partial(np.matmul, x1, x2, out=own_out(inputs)),
    }


def torch_products(inputs):
    import torch

    x1, x2 = (torch.from_numpy(x) for x in inputs.args)
    out = torch.from_numpy(own_out(inputs))
    if x1.ndim == x2.ndim:
        return partial(torch.linalg.vecdot, x1, x2, out=out)
    return partial(torch.matmul, x1, x2, out=out)


def numpy_gram(inputs):
    (x,) = inputs.args
    return partial(np.matmul, x.T, x, out=own_out(inputs))


def scipy_gram(inputs):
    """syrk: one triangle, which is all that BLAS has for this."""
    from scipy.linalg.blas import get_blas_funcs

    (x,) = inputs.args
    syrk = get_blas_funcs("syrk", (x,))
    transposed = np.asfortranarray(x)
    return {
        "C order": partial(syrk, 1.0, x.T),
        "F order": partial(syrk, 1.0, transposed, trans=1),
    }


def torch_gram(inputs):
    import torch

    x = torch.from_numpy(inputs.args[0])
    return partial(torch.mm, x.T, x, out=torch.from_numpy(own_out(inputs)))


# linear


def linear_arguments(inputs):
    import torch

    return [torch.from_numpy(x) for x in inputs.args], inputs.kwargs.get("activation")


def torch_linear(inputs):
    """linear and the activation in place, as two calls; compiled to one where torch can."""
    import torch
    from torch.nn.functional import gelu, linear

    (x, weight, bias), activation = linear_arguments(inputs)
    after = {None: None, "relu": torch.relu_, "gelu": gelu}[activation]

    def call():
        y = linear(x, weight, bias)
        return y if after is None else after(y)

    return call


def numpy_linear(inputs):
    x, weight, bias = inputs.args
    if inputs.kwargs.get("activation") == "gelu":
        raise ValueError("NumPy has no erf")
    is_relu = inputs.kwargs.get("activation") == "relu"
    out = own_out(inputs)

    def call():
        np.matmul(x, weight.T, out=out)
        np.add(out, bias, out=out)
        return np.maximum(out, 0, out=out) if is_relu else out

    return call
