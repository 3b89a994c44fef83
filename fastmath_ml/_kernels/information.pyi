from typing import Any

import numpy.typing as npt

ENTR: int
REL_ENTR: int
KL_DIV: int
ENTROPY: int
RELATIVE: int
JENSEN: int

def information_plain(
    kind: int, normalised: bool, root: bool, p: Any, q: Any, base: Any, axis: Any
) -> Any: ...
def information_lines(
    kind: int,
    normalised: bool,
    root: bool,
    x: npt.NDArray[Any],
    y: npt.NDArray[Any] | None,
    factor: float,
    out: npt.NDArray[Any],
    scales: npt.NDArray[Any] | None = None,
) -> bool: ...
def map_plain(which: int, x: Any, y: Any, out: Any) -> Any: ...
def count_table(
    a: npt.NDArray[Any],
    b: npt.NDArray[Any],
    a_first: int,
    b_first: int,
    table: npt.NDArray[Any],
) -> None: ...
