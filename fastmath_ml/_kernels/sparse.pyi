from typing import Any

import numpy.typing as npt

def csr_product(
    data: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    indptr: npt.NDArray[Any],
    x: npt.NDArray[Any],
    y: npt.NDArray[Any],
) -> None: ...
def csr_transpose(
    data: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    indptr: npt.NDArray[Any],
    to_data: npt.NDArray[Any],
    to_indices: npt.NDArray[Any],
    to_indptr: npt.NDArray[Any],
) -> None: ...
