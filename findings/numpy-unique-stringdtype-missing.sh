#!/bin/sh
# numpy 2.4.6. An array of StringDType(na_object=nan) with missing entries is valid, and numpy.unique(a) lists the
# missing value once, last. With return_inverse, return_counts or return_index the missing value is gone from the list,
# and each missing entry is counted as its neighbour in sorted order: unique[inverse] is no longer the array. Nothing
# is raised or warned.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np

values = np.array(["b", np.nan, "a", "b"], dtype=np.dtypes.StringDType(na_object=np.nan))
print(np.unique(values).tolist())
symbols, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
print(symbols.tolist(), counts.tolist(), symbols[inverse].tolist())
PYTHON
cat > "$folder/expected" <<'TEXT'
['a', 'b', nan]
['a', 'b'] [1, 3] ['b', 'b', 'a', 'b']
TEXT
cat "$folder/seen"
diff "$folder/expected" "$folder/seen"
