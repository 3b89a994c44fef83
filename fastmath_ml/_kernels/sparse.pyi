from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

def csr_product(data: Array, indices: Array, indptr: Array, x: Array, y: Array) -> None: ...
def csr_transpose(
    data: Array,
    indices: Array,
    indptr: Array,
    to_data: Array,
    to_indices: Array,
    to_indptr: Array,
) -> None: ...
