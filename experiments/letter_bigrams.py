"""Count the letter bigrams of Jane Austen's *Pride and Prejudice* (1813, public domain).

    python experiments/letter_bigrams.py [text]

``text`` is a plain-text file of the novel. Without it the text is taken from the R package janeaustenr (Debian:
``apt-get install r-cran-janeaustenr``). Letters are folded to a-z; every run of other characters is one space, and the
pair (space, space) therefore never occurs. Writes ``ufs/data/letter_bigrams.csv``, which ``ufs.datasets`` reads.
"""

import hashlib
import re
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

SYMBOLS = string.ascii_lowercase + " "
TARGET = Path(__file__).parents[1] / "ufs" / "data" / "letter_bigrams.csv"


def read_text(arguments: list[str]) -> str:
    """The novel, from the file named on the command line or from janeaustenr."""
    if arguments:
        return Path(arguments[0]).read_text(encoding="utf-8")
    command = ["Rscript", "-e", r'cat(janeaustenr::prideprejudice, sep="\n")']
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def bigram_counts(text: str) -> pd.DataFrame:
    """Counts of (letter, next letter), rows and columns in alphabetical order with the space last."""
    folded = re.sub("[^a-z]+", " ", text.lower()).strip()
    codes = np.array([SYMBOLS.index(symbol) for symbol in folded])
    counts = np.bincount(27 * codes[:-1] + codes[1:], minlength=27 * 27).reshape(27, 27)
    labels = [*string.ascii_lowercase, "space"]
    return pd.DataFrame(counts, index=pd.Index(labels, name="letter"), columns=labels)


if __name__ == "__main__":
    text = read_text(sys.argv[1:])
    counts = bigram_counts(text)
    counts.to_csv(TARGET, lineterminator="\n")
    print(f"{counts.to_numpy().sum()} bigrams; sha256 of the file: {hashlib.sha256(TARGET.read_bytes()).hexdigest()}")
