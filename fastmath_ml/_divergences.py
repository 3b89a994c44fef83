"""Entropy and divergences of distributions along any axes."""

from __future__ import annotations

from typing import Any, Literal

import numpy.typing as npt

from ._information_sums import information_sums
from ._kernels.information import ENTROPY, JENSEN, RELATIVE, information_plain

__all__ = ["entropy", "jensenshannon", "js_divergence", "kl_divergence"]


def entropy(
    pk: npt.ArrayLike,
    qk: npt.ArrayLike | None = None,
    base: float | None = None,
    axis: Any = 0,
    *,
    nan_policy: Literal["propagate", "raise", "omit"] = "propagate",
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    r"""Entropy of distributions, or their relative entropy, as `scipy.stats.entropy`.

    .. math:: H(p) = -\sum_i p_i \log p_i, \qquad D(p, q) = \sum_i p_i \log(p_i / q_i)

    Parameters
    ----------
    pk : array_like
        Real numbers of any shape, normalised along `axis` to add up to 1. float32 and float64 are
        computed as they are, float16 and bfloat16 in float32, integers and booleans in float64.
    qk : array_like, optional
        The distributions that `pk` is held against; broadcasts with it.
    base : float, optional
        Of the logarithm; None for e.
    axis : int, tuple of ints or None, optional
        Along which the distributions lie; None for all axes.
    nan_policy : {'propagate', 'raise', 'omit'}, optional
        Where there is NaN: give NaN, raise ValueError, or leave these elements out.
    keepdims : bool, optional
        Keep the axes of the sum with length 1.
    out : ndarray, optional
        Receives the result.

    Returns
    -------
    ndarray or scalar
        In the dtype of `pk` and `qk` if floating, else float64. NaN where a distribution is all
        zeros; -inf, or inf with `qk`, where one has negative elements and a positive sum.

    Raises
    ------
    TypeError
        `pk` or `qk` is a masked array or has a complex, extended or object dtype.
    ValueError
        The shapes do not broadcast, `base` is not positive, `out` has another shape, or there is
        NaN and `nan_policy` is 'raise'.

    Notes
    -----
    The error is at most :math:`16\,\varepsilon` of the result for any length up to :math:`10^6` and
    along any axis, and :math:`4 \cdot 2^{-52}`: sums are made in float64, and no terms cancel. So D
    keeps its digits where the distributions are nearly equal, and is never negative; where the sums
    of `pk` and `qk` differ, which makes one be scaled, :math:`\varepsilon \sqrt{2 D}` is added.

    Memory is read once, or once more where distributions add up to something other than 1 (D: to
    sums that differ) and do not stay in a cache. Several axes at once, arrays that are neither C
    nor all Fortran ordered, and `qk` that is repeated along other than the first axes cost a copy.
    Neither the number of threads nor the other distributions change a result.

    References
    ----------
    .. [1] C. E. Shannon, "A mathematical theory of communication", Bell System Technical Journal
       27, 1948.
    .. [2] S. Kullback and R. A. Leibler, "On information and sufficiency", Annals of Mathematical
       Statistics 22(1), 1951.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> fm.entropy(np.array([[0.5, 0.5], [0.9, 0.1]]), base=2, axis=1).round(4)
    array([1.   , 0.469])
    >>> print(round(fm.entropy([1, 1], [9, 1], base=2), 4))
    0.737
    """
    kind = ENTROPY if qk is None else RELATIVE
    if nan_policy == "propagate" and not keepdims and out is None:
        result = information_plain(kind, True, False, pk, qk, base, axis)
        if result is not None:
            return result
    return information_sums(
        kind, (pk, "pk"), (qk, "qk"), base, axis, keepdims, out, nan_policy=nan_policy
    )


def jensenshannon(
    p: npt.ArrayLike,
    q: npt.ArrayLike,
    base: float | None = None,
    *,
    axis: Any = 0,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    r"""Jensen-Shannon distance of distributions, as `scipy.spatial.distance.jensenshannon`.

    .. math:: \sqrt{\tfrac12 D(p, m) + \tfrac12 D(q, m)}, \qquad m = \tfrac12 (p + q)

    Parameters
    ----------
    p, q : array_like
        Real numbers that broadcast, normalised along `axis`; dtypes as for `entropy`.
    base : float, optional
        Of the logarithm; None for e. With 2 the distance is at most 1.
    axis : int, tuple of ints or None, optional
        Along which the distributions lie; None for all axes.
    keepdims : bool, optional
        Keep the axes of the sum with length 1.
    out : ndarray, optional
        Receives the result.

    Returns
    -------
    ndarray or scalar
        In the dtype of `p` and `q` if floating, else float64; 0 for equal distributions, NaN where
        one is all zeros.

    Raises
    ------
    TypeError, ValueError
        As for `entropy`.

    Notes
    -----
    Accuracy and memory as for `entropy`; a second sweep is made where the sums of p and q differ by
    more than about :math:`\sqrt\varepsilon`.

    References
    ----------
    .. [1] J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on
       Information Theory 37(1), 1991.

    Examples
    --------
    >>> import fastmath_ml as fm
    >>> print(fm.information.jensenshannon([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 2.0))
    1.0
    """
    if not keepdims and out is None:
        result = information_plain(JENSEN, True, True, p, q, base, axis)
        if result is not None:
            return result
    return information_sums(JENSEN, (p, "p"), (q, "q"), base, axis, keepdims, out, root=True)


def kl_divergence(
    p: npt.ArrayLike,
    q: npt.ArrayLike,
    *,
    axis: Any = -1,
    base: float | None = None,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    r"""Kullback-Leibler divergence of p and q as they are, without normalising them.

    .. math:: D(p, q) = \sum_i p_i \log(p_i / q_i)

    Parameters
    ----------
    p, q : array_like
        Real numbers that broadcast; dtypes as for `entropy`.
    axis : int, tuple of ints or None, optional
        Along which the sum runs; None for all axes.
    base : float, optional
        Of the logarithm; None for e.
    keepdims : bool, optional
        Keep the axes of the sum with length 1.
    out : ndarray, optional
        Receives the result.

    Returns
    -------
    ndarray or scalar
        The sums of `information.rel_entr`: inf where an element is negative, or `q` alone is 0.

    Raises
    ------
    TypeError, ValueError
        As for `entropy`.

    Notes
    -----
    Computed as :math:`\sum (p_i \log(p_i / q_i) - p_i + q_i) + \sum (p_i - q_i)`, the first sum
    without cancellation. The error is at most :math:`16\,\varepsilon` times the first sum and
    :math:`8\,\varepsilon` times :math:`\sum |p_i - q_i|`. One pass over memory.

    References
    ----------
    .. [1] S. Kullback and R. A. Leibler, "On information and sufficiency", Annals of Mathematical
       Statistics 22(1), 1951.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> print(fm.kl_divergence(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])).round(4))
    0.3466
    """
    if not keepdims and out is None:
        result = information_plain(RELATIVE, False, False, p, q, base, axis)
        if result is not None:
            return result
    return information_sums(
        RELATIVE, (p, "p"), (q, "q"), base, axis, keepdims, out, normalised=False
    )


def js_divergence(
    p: npt.ArrayLike,
    q: npt.ArrayLike,
    *,
    axis: Any = -1,
    base: float | None = None,
    keepdims: bool = False,
    out: Any = None,
) -> Any:
    r"""Jensen-Shannon divergence of p and q as they are, without normalising them.

    .. math:: \tfrac12 D(p, m) + \tfrac12 D(q, m), \qquad m = \tfrac12 (p + q)

    Parameters
    ----------
    p, q : array_like
        Real numbers that broadcast; dtypes as for `entropy`.
    axis : int, tuple of ints or None, optional
        Along which the sum runs; None for all axes.
    base : float, optional
        Of the logarithm; None for e.
    keepdims : bool, optional
        Keep the axes of the sum with length 1.
    out : ndarray, optional
        Receives the result.

    Returns
    -------
    ndarray or scalar
        For distributions from 0, where they are equal, to log 2, the square of `jensenshannon`; inf
        where an element is negative.

    Raises
    ------
    TypeError, ValueError
        As for `entropy`.

    Notes
    -----
    A sum of terms that are not negative: its relative error is that of `entropy`. One pass over
    memory.

    References
    ----------
    .. [1] J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on
       Information Theory 37(1), 1991.

    Examples
    --------
    >>> import numpy as np
    >>> import fastmath_ml as fm
    >>> print(fm.js_divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0]), base=2))
    1.0
    """
    if not keepdims and out is None:
        result = information_plain(JENSEN, False, False, p, q, base, axis)
        if result is not None:
            return result
    return information_sums(JENSEN, (p, "p"), (q, "q"), base, axis, keepdims, out, normalised=False)
