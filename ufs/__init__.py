"""Universal features: local information geometry, the divergence transition matrix and the H-score.

The names below need numpy and scipy alone. ``ufs.datasets``, ``ufs.plot`` and ``ufs.widgets`` are imported by name.
"""

from importlib.metadata import version

from ufs.certify import Certificate, certificate_table, certify, remainder_order, valid_range
from ufs.dtm import Modes, dtm, maximal_correlation, modes
from ufs.joint import Joint

__version__ = version("universal-features")

__all__ = [
    "Certificate",
    "Joint",
    "Modes",
    "certificate_table",
    "certify",
    "dtm",
    "maximal_correlation",
    "modes",
    "remainder_order",
    "valid_range",
]
