"""The letters of the formulas of a text: a letter with its font, without hats, indices' places, words and names."""

import re
from collections.abc import Iterator

from bookfiles import MYST, directive
from markdown_it.token import Token

FONTS = ("mathcal", "mathbb", "mathbf", "mathfrak", "mathsf", "boldsymbol")
GREEK = re.findall(
    r"\w+",
    """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma
    varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell""",
)
WORDS = re.compile(
    r"\\(?:text|textrm|textit|operatorname\*?|mathrm|begin|end|label|tag|ref|eqref|phantom|hspace|vspace)\s*\{[^{}]*\}"
)
LETTER = re.compile(rf"\\(?:{'|'.join(FONTS)})\s*(?:\{{([^{{}}]*)\}}|(\w))|\\([A-Za-z]+)|([A-Za-z])")


NO_LETTER = re.compile(r"\\rVert_F|\|_F|(?<![A-Za-z])[Oo](?=\s*(?:\\[Bb]igl?)?\()")  # Frobenius' norm, Landau's symbols
PLACE = re.compile(r"[_^]\s*(?:\{(?:[^{}]|\{[^{}]*\})*\}|\\[A-Za-z]+|.)|\((?:[^()])*\)")


def heads(formula: str) -> set[str]:
    r"""The letters that a formula explains: ``T_y(x)`` explains T."""
    return letters(PLACE.sub(" ", formula))


def letters(formula: str) -> set[str]:
    r"""Base letters: ``\tilde B_{ij}`` has B, i and j; ``\mathcal{X}`` is another letter than X."""
    found = set()
    formula = WORDS.sub(" ", re.sub(r"\\mathrm\s*(\w)", " ", NO_LETTER.sub(" ", formula)))
    for match in LETTER.finditer(formula):
        if match[1] or match[2]:
            font = re.match(r"\\([a-z]+)", match[0])
            assert font is not None
            inside = match[1] or match[2]
            found |= {f"\\{font[1]} {letter}" for letter in letters(inside)}
        elif match[3]:
            found |= {f"\\{match[3]}"} & {f"\\{name}" for name in GREEK}
        else:
            found.add(match[4])
    return found


def inline(token: Token) -> Iterator[str]:
    for child in token.children or []:
        if child.type.startswith("math"):
            yield child.content


def formulas(text: str) -> Iterator[str]:
    """All formulas of a Markdown text, in paragraphs, displays, titles and directives."""
    for token in MYST.parse(text):
        if token.type == "inline":
            yield from inline(token)
        elif token.type.startswith("math_block") or token.type == "amsmath":
            yield token.content
        elif token.type in ("fence", "colon_fence") and (block := directive(token)):
            if block.name == "math":
                yield block.body
            else:
                yield from formulas(block.argument)
                yield from formulas(block.body)
