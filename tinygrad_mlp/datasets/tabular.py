"""Five small tables of real measurements, bundled with the package and readable with NumPy alone.

Names follow scikit-learn's ``Bunch``. The values are those that scikit-learn ships, rounded once to float32; origin,
licence and citation of each table are in its ``DESCR`` and in LICENSES-DATA.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Table", "load_breast_cancer", "load_diabetes", "load_digits", "load_iris", "load_wine"]

DataAndTarget: TypeAlias = tuple[NDArray[np.float32], NDArray[Any]]

FOLDER = Path(__file__).with_name("tables")

DESCRIPTIONS = {
    "digits": (
        "Handwritten digits: 1,797 images of 8 x 8 pixels, each pixel 0..16 (the count of dark points in a 4 x 4 block "
        "of a 32 x 32 scan), 10 classes of 174 to 183 images.\n"
        "Origin: the test part of 'Optical Recognition of Handwritten Digits', UCI Machine Learning Repository, "
        "doi:10.24432/C50P49. Licence: CC BY 4.0.\n"
        "Cite: E. Alpaydin and C. Kaynak, 'Cascading classifiers', Kybernetika 34 (1998) 369-374."
    ),
    "iris": (
        "Iris flowers: 150 plants, 4 lengths in cm, 3 species of 50 plants.\n"
        "Origin: Fisher's measurements as kept by the UCI Machine Learning Repository, doi:10.24432/C56C76, with the "
        "two rows that scikit-learn corrected after Fisher's paper. Licence: CC BY 4.0.\n"
        "Cite: R. A. Fisher, 'The use of multiple measurements in taxonomic problems', Annals of Eugenics 7 (1936) "
        "179-188."
    ),
    "wine": (
        "Wine: chemical analysis of 178 wines from one region of Italy, 13 measurements, 3 cultivars of 59, 71 and 48 "
        "wines.\n"
        "Origin: UCI Machine Learning Repository, doi:10.24432/C5PC7J. Licence: CC BY 4.0.\n"
        "Cite: S. Aeberhard and M. Forina, 'Wine', UCI Machine Learning Repository (1992)."
    ),
    "breast_cancer": (
        "Breast cancer Wisconsin (diagnostic): 569 tumours, 30 measurements of cell nuclei in an image, 212 malignant "
        "(class 0) and 357 benign (class 1).\n"
        "Origin: UCI Machine Learning Repository, doi:10.24432/C5DW2B. Licence: CC BY 4.0.\n"
        "Cite: W. N. Street, W. H. Wolberg and O. L. Mangasarian, 'Nuclear feature extraction for breast tumor "
        "diagnosis', SPIE 1905 (1993) 861-870."
    ),
    "diabetes": (
        "Diabetes: 442 patients, age, sex, body-mass index, mean blood pressure and six blood values; the target is a "
        "measure of the disease's progression one year later (25..346).\n"
        "scaled=True: every column has mean 0 and sum of squares 1, as in scikit-learn; scaled=False: the measured "
        "values in their own units (age in years, bmi in kg/m^2).\n"
        "Origin: the companion data of the paper, distributed with scikit-learn (BSD-3-Clause).\n"
        "Cite: B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, 'Least angle regression', Annals of Statistics 32 "
        "(2004) 407-499."
    ),
}


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """One table: samples in rows, measurements in columns.

    Attributes:
        name: the table's short name.
        data: (samples, features) float32.
        target: (samples,); int64 class numbers, or float32 values where the task is regression.
        feature_names: one name per column of ``data``.
        target_names: the class names in order of their numbers; one name for a regression target.
        DESCR: what was measured, where it comes from, its licence and the work to cite.
        images: (samples, 8, 8) view of ``data`` for the digits, else None.
    """

    name: str
    data: NDArray[np.float32]
    target: NDArray[Any]
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    DESCR: str
    images: NDArray[np.float32] | None = None

    def __repr__(self) -> str:
        samples, features = self.data.shape
        if self.target.dtype.kind == "f":
            task = f"target {self.target_names[0]} {self.target.min():g}..{self.target.max():g}"
        else:
            task = f"{len(self.target_names)} classes: {', '.join(self.target_names)}"
        return f"Table({self.name}: {samples} samples x {features} features {self.data.dtype}, {task})"


def _read(name: str) -> tuple[Table, NDArray[Any]]:
    """Read one bundled table; return it with its values as they are stored (diabetes: float64, uint8 for digits).

    The file is opened here, on call, never on import.
    """
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as stored:
        arrays = dict(stored)
    target = arrays["target"]
    table = Table(
        name=name,
        data=arrays["data"].astype(np.float32),
        target=target.astype(np.int64) if target.dtype.kind == "u" else target,
        feature_names=tuple(arrays["feature_names"].tolist()),
        target_names=tuple(arrays["target_names"].tolist()),
        DESCR=DESCRIPTIONS[name],
    )
    return table, arrays["data"]


def _answer(table: Table, return_X_y: bool) -> Table | DataAndTarget:
    return (table.data, table.target) if return_X_y else table


@overload
def load_digits(return_X_y: Literal[False] = ...) -> Table: ...
@overload
def load_digits(return_X_y: Literal[True]) -> DataAndTarget: ...
def load_digits(return_X_y: bool = False) -> Table | DataAndTarget:
    """Load 1,797 handwritten digits of 8 x 8 pixels, values 0..16; ``images`` holds them as pictures.

    Returns:
        A :class:`Table` with ``data`` (1797, 64) float32 and ``target`` (1797,) int64 classes 0..9; or, with
        ``return_X_y=True``, the pair ``(data, target)``.
    """
    table, _ = _read("digits")
    return _answer(replace(table, images=table.data.reshape(-1, 8, 8)), return_X_y)


@overload
def load_iris(return_X_y: Literal[False] = ...) -> Table: ...
@overload
def load_iris(return_X_y: Literal[True]) -> DataAndTarget: ...
def load_iris(return_X_y: bool = False) -> Table | DataAndTarget:
    """Load 150 iris flowers: four lengths in cm, three species.

    Returns:
        A :class:`Table` with ``data`` (150, 4) float32 and ``target`` (150,) int64 classes 0..2; or, with
        ``return_X_y=True``, the pair ``(data, target)``.
    """
    table, _ = _read("iris")
    return _answer(table, return_X_y)


@overload
def load_wine(return_X_y: Literal[False] = ...) -> Table: ...
@overload
def load_wine(return_X_y: Literal[True]) -> DataAndTarget: ...
def load_wine(return_X_y: bool = False) -> Table | DataAndTarget:
    """Load 178 wines: 13 chemical measurements, three cultivars.

    Returns:
        A :class:`Table` with ``data`` (178, 13) float32 and ``target`` (178,) int64 classes 0..2; or, with
        ``return_X_y=True``, the pair ``(data, target)``.
    """
    table, _ = _read("wine")
    return _answer(table, return_X_y)


@overload
def load_breast_cancer(return_X_y: Literal[False] = ...) -> Table: ...
@overload
def load_breast_cancer(return_X_y: Literal[True]) -> DataAndTarget: ...
def load_breast_cancer(return_X_y: bool = False) -> Table | DataAndTarget:
    """Load 569 tumours: 30 measurements, malignant (0) or benign (1).

    Returns:
        A :class:`Table` with ``data`` (569, 30) float32 and ``target`` (569,) int64 classes 0..1; or, with
        ``return_X_y=True``, the pair ``(data, target)``.
    """
    table, _ = _read("breast_cancer")
    return _answer(table, return_X_y)


@overload
def load_diabetes(return_X_y: Literal[False] = ..., *, scaled: bool = ...) -> Table: ...
@overload
def load_diabetes(return_X_y: Literal[True], *, scaled: bool = ...) -> DataAndTarget: ...
def load_diabetes(return_X_y: bool = False, *, scaled: bool = True) -> Table | DataAndTarget:
    """Load 442 diabetes patients: ten measurements, progression of the disease one year later (a regression task).

    Args:
        return_X_y: return the pair ``(data, target)``.
        scaled: ``x -> (x - mean) / (std * sqrt(442))`` per column, scikit-learn's default; False: the units of the
            measurement, for instance a body-mass index in kg/m^2.

    Returns:
        A :class:`Table` with ``data`` (442, 10) float32 and ``target`` (442,) float32; or the pair.
    """
    table, raw = _read("diabetes")
    if scaled:
        centred = raw - raw.mean(axis=0)
        # Scaled in float64 from the raw values, so that only one rounding to float32 separates it from scikit-learn's.
        unit = centred / np.sqrt(np.square(centred).sum(axis=0))
        table = replace(table, data=unit.astype(np.float32))
    return _answer(table, return_X_y)
