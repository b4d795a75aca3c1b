"""Each notebook is committed as it ran, from top to bottom; each chapter is built like every other."""

import json
import re
import socket
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from bookfiles import BOOK, CHAPTERS, NOTEBOOKS, PAGES, PROJECT, Directive, captions, directives, notebook, texts
from nbformat import NotebookNode
from nbval.plugin import find_comment_markers, metadata_tags

# A path from the root or from a drive. The slash of an address, a fraction or a closing tag follows something else.
MACHINE = re.compile(
    r"""(?:^|[\s"'`=:,;>(\[{])/\w[\w./-]*|file:/|\b[A-Za-z]:[\\/]+\w|"""
    rf"\b{re.escape(socket.gethostname())}\b"
)
EMBEDDED = re.compile(r"data:image/[\w.+-]+;base64,[\w+/=\s]+")  # two letters of base64 name no machine
STATEMENTS = {f"prf:{kind}" for kind in ("theorem", "proposition", "lemma", "corollary")}
RESULTS = {"prf:theorem", "prf:proposition"}
SOLUTION = re.compile(r"^:+\{solution-start\}(.*?)^:+\{solution-end\}", re.MULTILINE | re.DOTALL)
FENCE_OR_OPTION = re.compile(r"^:.*$", re.MULTILINE)
GLUED = re.compile(r"\{glue:[a-z]*\}`([^`]+)`|^[:`]{3,}\{glue:\w*\} *(\S+)", re.MULTILINE)


def code_cells(page: str) -> list[NotebookNode]:
    return [cell for cell in notebook(page).cells if cell.cell_type == "code"]


def outputs(page: str) -> Iterator[NotebookNode]:
    for cell in code_cells(page):
        yield from cell.outputs


def output_texts(output: NotebookNode) -> Iterator[str]:
    """What an output and its metadata say, but for pictures that hold no text, on their own or inside another."""
    yield json.dumps(output.get("metadata", {}))
    yield output.get("text", "")
    yield from (
        EMBEDDED.sub("", str(value))
        for key, value in output.get("data", {}).items()
        if not key.startswith(("image/png", "image/jpeg"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "File /data/x.py",
        '"/srv/build/x"',
        "in (/app/x)",
        "path=/nix/store/a",
        "cd /root",
        r"D:\a\x",
        "file:///builds/x",
    ],
)
def test_a_path_names_the_machine(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize(
    "text",
    ["https://example.org/a/b", "image/svg+xml", "<b>1/2</b>", "∥N∥/σ(A)", "(g - 1)/g", "and/or", "./data/x", "a: 1"],
)
def test_an_address_a_fraction_or_a_tag_does_not(text: str) -> None:
    assert not MACHINE.search(text)


def test_every_notebook_is_in_the_book() -> None:
    files = {path.relative_to(PROJECT).with_suffix("").as_posix() for path in BOOK.rglob("*.ipynb")}
    assert {file for file in files if ".ipynb_checkpoints" not in file} == set(NOTEBOOKS)


@pytest.mark.parametrize("page", NOTEBOOKS)
class TestNotebook:
    def test_ran_from_top_to_bottom(self, page: str) -> None:
        cells = code_cells(page)
        assert all(cell.source.strip() for cell in cells), "an empty code cell"
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))

    def test_ran_without_error_or_warning(self, page: str) -> None:
        assert not [
            output for output in outputs(page) if output.output_type == "error" or output.get("name") == "stderr"
        ]

    def test_outputs_do_not_name_the_machine(self, page: str) -> None:
        found = [
            match[0] for output in outputs(page) for text in output_texts(output) for match in MACHINE.finditer(text)
        ]
        assert not found

    def test_holds_no_widget_state(self, page: str) -> None:
        assert "widgets" not in notebook(page).metadata  # with it in, the page loads scripts from a CDN

    def test_cells_that_are_not_compared_say_why(self, page: str) -> None:
        for cell in code_cells(page):
            tags = metadata_tags.keys() & set(cell.metadata.get("tags", []))
            assert tags <= {"nbval-ignore-output", "nbval-skip"}, f"{tags} may not stand in this book:\n{cell.source}"
            assert not tags or cell.metadata.get("ufs", {}).get("why", "").strip(), (
                f'give a reason, "ufs": {{"why": …}}, to:\n{cell.source}'
            )
            assert not [*find_comment_markers(cell.source)], f"say it with a tag and a reason:\n{cell.source}"

    def test_pictures_have_alt_text_caption_and_name(self, page: str) -> None:
        for cell in code_cells(page):
            if any(key.startswith("image/") for output in cell.outputs for key in output.get("data", {})):
                settings = cell.metadata.get("mystnb", {})
                assert settings.get("image", {}).get("alt", "").strip(), f"no alt text:\n{cell.source}"
                assert settings.get("figure", {}).get("caption", "").strip(), f"no caption:\n{cell.source}"
                assert settings.get("figure", {}).get("name", "").strip(), f"no name:\n{cell.source}"

    def test_captions_name_no_colour_that_a_dark_page_turns_over(self, page: str) -> None:
        turned = re.compile(r"\((?:black|white)\)|\bin (?:black|white)\b|\b(?:black|white) (?:line|dot|point)")
        assert not [caption for caption in captions(page) if turned.search(caption)]

    def test_pictures_come_sharp_and_for_untrusted_notebooks_too(self, page: str) -> None:
        for output in outputs(page):
            kinds = {key for key in output.get("data", {}) if key.startswith("image/")}
            assert kinds in (set(), {"image/svg+xml", "image/png"}), "store both SVG and PNG"

    def test_has_version_and_date(self, page: str) -> None:
        metadata = notebook(page).metadata["ufs"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"])
        assert date.fromisoformat(metadata["date"])


def glued_keys(page: str) -> set[str]:
    return {
        output.metadata["scrapbook"]["name"]
        for output in (outputs(page) if page in NOTEBOOKS else ())
        if "scrapbook" in output.get("metadata", {})
    }


@pytest.mark.parametrize("page", PAGES)
def test_glued_values_exist(page: str) -> None:
    for match in (match for text in texts(page) for match in GLUED.finditer(text)):
        reference = match[1] or match[2]
        source, _, key = reference.rpartition("::")
        other = (Path(page).parent / source).with_suffix("").as_posix() if source else page
        assert key.split(":")[0] in glued_keys(other), f"{reference}: no cell of {other} glues it"


@pytest.mark.parametrize("page", CHAPTERS)
def test_glued_values_are_used(page: str) -> None:
    used = {
        (match[1] or match[2]).rpartition("::")[2].split(":")[0]
        for p in PAGES
        for t in texts(p)
        for match in GLUED.finditer(t)
    }
    assert glued_keys(page) <= used


def chapter_text(page: str) -> str:
    return "\n\n".join(texts(page))


def blocks(page: str) -> list[Directive]:
    return list(directives(chapter_text(page)))


def argues(text: str) -> bool:
    return "$" in text or len(text.split()) >= 12


def headings(page: str) -> list[str]:
    return re.findall(r"^## (.+)$", chapter_text(page), re.MULTILINE)


@pytest.mark.parametrize("page", CHAPTERS)
class TestChapter:
    """The anatomy that a reader can rely on."""

    def test_opens_with_key_points_prerequisites_and_times(self, page: str) -> None:
        opening = chapter_text(page).partition("\n## ")[0]
        points = [block for block in directives(opening) if block.argument == "Key points"]
        assert len(points) == 1
        assert 3 <= len(re.findall(r"^- ", points[0].body, re.MULTILINE)) <= 5
        assert "**Prerequisites.**" in opening
        times = opening.partition("**Time.**")[2]
        assert "read" in times
        assert "run" in times

    def test_starts_from_a_question(self, page: str) -> None:
        first_section = chapter_text(page).split("\n## ")[1]
        assert "question" in first_section.splitlines()[0].lower()
        assert "?" in first_section

    def test_results_have_labels_and_proofs(self, page: str) -> None:
        found = [block for block in blocks(page) if block.name.startswith("prf:")]
        assert {"prf:definition", "prf:theorem"} <= {block.name for block in found}
        for block, following in zip(found, [*found[1:], None], strict=True):
            if block.name != "prf:proof":
                assert re.fullmatch(r"(def|thm|prop|lem|cor|ex|rem|alg)-[a-z0-9-]+", block.options.get("label", "")), (
                    block.argument
                )
            if block.name in STATEMENTS:
                assert following is not None, f"{block.argument!r} has no proof"
                assert following.name == "prf:proof", f"{block.argument!r} is not followed by its proof"

    def test_proofs_prove(self, page: str) -> None:
        assert not [block.body for block in blocks(page) if block.name == "prf:proof" and not argues(block.body)]

    def test_long_proofs_are_folded(self, page: str) -> None:
        found = blocks(page)
        for outer, inner in pairwise(found):
            lines = [line for line in inner.body.splitlines() if line.strip() not in ("", "$$")]
            if inner.name == "prf:proof" and len(lines) > 6:
                assert outer.name == "dropdown", f"fold the proof that begins: {inner.body[:80]}"

    def test_theorems_have_a_certificate(self, page: str) -> None:
        found = [
            block
            for block in blocks(page)
            if block.name in STATEMENTS or block.options.get("class") == "ufs-certificate"
        ]
        for block, following in zip(found, [*found[1:], None], strict=True):
            if block.name in RESULTS:
                assert following is not None, f"{block.argument!r} has no certificate"
                assert following.options.get("class") == "ufs-certificate", f"{block.argument!r} has no certificate"

    def test_certificates_are_measured(self, page: str) -> None:
        """Between a result and its certificate runs the cell that measures it."""
        cells, measured = notebook(page).cells, False
        for cell in cells:
            measured = measured or cell.cell_type == "code"
            if cell.cell_type == "markdown":
                for block in directives(cell.source):
                    if block.options.get("class") == "ufs-certificate":
                        assert measured, f"no cell before: {block.body[:80]}"
                    if block.name in RESULTS | {"prf:definition"}:
                        measured = False

    def test_has_an_interactive_figure(self, page: str) -> None:
        assert any('class="ufs-figure' in output.get("data", {}).get("text/html", "") for output in outputs(page))

    def test_ends_with_summary_exercises_and_further_reading(self, page: str) -> None:
        assert headings(page)[-3:] == ["Summary", "Exercises", "Further reading"]

    def test_has_six_exercises_each_with_a_folded_solution(self, page: str) -> None:
        found = blocks(page)
        exercises = [block.options.get("label") for block in found if block.name in ("exercise", "exercise-start")]
        solutions = [block for block in found if block.name in ("solution", "solution-start")]
        assert len(exercises) >= 6
        assert [block.argument for block in solutions] == exercises
        assert all("dropdown" in block.options.get("class", "") for block in solutions)

    def test_solutions_solve(self, page: str) -> None:
        """Each holds text or cells between its start and its end."""
        everything = "\n\n".join(cell.source for cell in notebook(page).cells)
        found = SOLUTION.findall(everything)
        assert len(found) == everything.count("{solution-start}")
        assert all(argues(FENCE_OR_OPTION.sub("", content)) for content in found)

    def test_exercises_are_graded(self, page: str) -> None:
        titles = [block.argument for block in blocks(page) if block.name in ("exercise", "exercise-start")]
        assert all(re.search(r" ★{1,3}$", title) for title in titles)
        assert [title.count("★") for title in titles] == sorted(title.count("★") for title in titles)


def test_chapters_are_numbered_in_the_order_of_the_book() -> None:
    numbers = [notebook(page).metadata["ufs"]["chapter"] for page in CHAPTERS]
    assert numbers
    assert numbers == sorted(set(numbers))


def test_labels_are_unique() -> None:
    labels = [
        block.options["label"]
        for page in PAGES
        for text in texts(page)
        for block in directives(text)
        if "label" in block.options
    ]
    assert len(labels) == len(set(labels))
