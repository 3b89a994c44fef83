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
        """NumPy's wants rank 4 of this matrix of rank 3 without a cutoff: the smallest singular
        value comes out as 5e-16 from LAPACK and as 3e-17 from ours, below any cutoff."""
        a = np.zeros((4, 6))
        a[0, [1, 3, 4]] = 1, 1, 2
        a[1, [1, 4]] = 2, 1
        a[2, [0, 2, 5]] = 1, 1, 4
        a[3, [3, 4]] = 2, 3
        b = np.eye(6)[0]
        for options in ({"rcond": -1}, {}, {"rcond": None}):
            x, _, rank, s = fm.linalg.lstsq(a.T, b, **options)
            assert rank == 3
            np.testing.assert_allclose(s[:3], np.linalg.svd(a.T)[1][:3], rtol=1e-14)
            np.testing.assert_allclose(x, np.linalg.pinv(a.T) @ b, rtol=1e-13, atol=1e-15)
