"""Universal features: local information geometry, the divergence transition matrix and the H-score.

The names below need numpy and scipy alone. ``ufs.datasets``, ``ufs.plot`` and ``ufs.widgets`` are imported by name.
"""

from importlib.metadata import version

from ufs.ace import AceModes, ace, ace_sweep, equal_mass_bins
from ufs.certify import Certificate, certificate_table, certify, remainder_order, valid_range
from ufs.correspondence import Correspondence, correspondence
from ufs.dtm import Modes, dtm, maximal_correlation, modes
from ufs.hscore import AffineRule, HScore, h_score, h_score_pair, held_out_h_score
from ufs.inference import (
    ExponentBounds,
    SimulatedError,
    chernoff_information,
    exponent_bounds,
    feature_exponent,
    local_exponent,
    simulate_error,
)
from ufs.joint import Joint
from ufs.local import (
    chi2_divergence,
    distribution,
    feature_angles,
    feature_vector,
    information_vector,
    kl_divergence,
    sample_neighborhood,
)
from ufs.processing import Contraction, contraction
from ufs.selection import (
    attribute_exponents,
    averaged_exponent,
    captured,
    largest_eps,
    random_attribute,
    rotate,
)
from ufs.significance import ModeTest, mode_test, noise_floor, sigma_errors
from ufs.softmax import (
    composite_head,
    hidden_layer_weights,
    local_log_loss,
    log_loss,
    optimal_features,
    optimal_softmax,
    optimal_weights,
    posterior,
)

__version__ = version("universal-features")

__all__ = [
    "AceModes",
    "AffineRule",
    "Certificate",
    "Contraction",
    "Correspondence",
    "ExponentBounds",
    "HScore",
    "Joint",
    "ModeTest",
    "Modes",
    "SimulatedError",
    "ace",
    "ace_sweep",
    "attribute_exponents",
    "averaged_exponent",
    "captured",
    "certificate_table",
    "certify",
    "chernoff_information",
    "chi2_divergence",
    "composite_head",
    "contraction",
    "correspondence",
    "distribution",
    "dtm",
    "equal_mass_bins",
    "exponent_bounds",
    "feature_angles",
    "feature_exponent",
    "feature_vector",
    "h_score",
    "h_score_pair",
    "held_out_h_score",
    "hidden_layer_weights",
    "information_vector",
    "kl_divergence",
    "largest_eps",
    "local_exponent",
    "local_log_loss",
    "log_loss",
    "maximal_correlation",
    "mode_test",
    "modes",
    "noise_floor",
    "optimal_features",
    "optimal_softmax",
    "optimal_weights",
    "posterior",
    "random_attribute",
    "remainder_order",
    "rotate",
    "sample_neighborhood",
    "sigma_errors",
    "simulate_error",
    "valid_range",
]
