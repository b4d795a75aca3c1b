"""Universal features: local information geometry, the divergence transition matrix and the H-score.

The names below need numpy and scipy alone. ``ufs.datasets``, ``ufs.plot`` and ``ufs.widgets`` are imported by name.
"""

from importlib.metadata import version

from ufs.certify import Certificate, certificate_table, certify, remainder_order, valid_range
from ufs.dtm import Modes, dtm, maximal_correlation, modes
from ufs.joint import Joint
from ufs.local import (
    chi2_divergence,
    distribution,
    feature_vector,
    information_vector,
    kl_divergence,
    sample_neighborhood,
)

__version__ = version("universal-features")

__all__ = [
    "Certificate",
    "Joint",
    "Modes",
    "certificate_table",
    "certify",
    "chi2_divergence",
    "distribution",
    "dtm",
    "feature_vector",
    "information_vector",
    "kl_divergence",
    "maximal_correlation",
    "modes",
    "remainder_order",
    "sample_neighborhood",
    "valid_range",
]
