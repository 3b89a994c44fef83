"""Compiled functions that know nothing of the caller's, kept on disk where that can be.

Numba looks for one beside the source file, then in the user's cache directory, and refuses to
define the function where neither can be written (a read-only installation and home). Here it is
then compiled anew in each process. The same goes for a directory that can no longer be written
later.
"""

from __future__ import annotations

import contextlib

import numba

OPTIONS = {"error_model": "numpy"}


def cached_jit(**options):
    """numba.njit, with a cache on disk where there can be one."""

    def decorate(function):
        if numba.config.DISABLE_JIT:
            return function
        try:
            dispatcher = numba.njit(function, cache=True, **OPTIONS, **options)
        except RuntimeError:  # no locator available: nowhere to write
            return numba.njit(function, **OPTIONS, **options)
        save = dispatcher._cache.save_overload

        def save_if_possible(*args):
            with contextlib.suppress(OSError):
                save(*args)

        dispatcher._cache.save_overload = save_if_possible
        return dispatcher

    return decorate
