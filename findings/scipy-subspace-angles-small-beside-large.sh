#!/bin/sh
# scipy 1.17.1. scipy.linalg.subspace_angles follows Knyazev and Argentati, who take small angles from sines and large
# ones from cosines. Of two planes with angles of 1e-9 and 1.2 it gives 0 for the small one, and of 1e-6 five digits:
# beside an angle above 45 degrees the small ones come from cosines too. Beside an angle below 45 degrees they are right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
from scipy.linalg import subspace_angles


def planes(small, large):
    """The plane of the first two axes, and one at these two angles to it."""
    other = np.zeros((4, 2))
    other[[0, 2], 0] = np.cos(small), np.sin(small)
    other[[1, 3], 1] = np.cos(large), np.sin(large)
    return np.eye(4)[:, :2], other


for small in (1e-6, 1e-9):
    for large in (0.7, 1.2):
        off = abs(subspace_angles(*planes(small, large)).min() / small - 1)
        print(small, large, "right to 1e-8" if off < 1e-8 else "off by more than 1e-6" if off < 0.1 else "lost")
PYTHON
cat > "$folder/expected" <<'TEXT'
1e-06 0.7 right to 1e-8
1e-06 1.2 off by more than 1e-6
1e-09 0.7 right to 1e-8
1e-09 1.2 lost
TEXT
cat "$folder/seen"
diff "$folder/expected" "$folder/seen"
