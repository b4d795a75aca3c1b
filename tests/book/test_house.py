"""The project's own files: what stands at the top, the two commands, and one version everywhere."""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import date
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import yaml
from bookfiles import CHAPTERS, NOTEBOOKS, PROJECT, notebook

import ufs

FILES = (
    "README.md LICENSE CITATION.cff CONTRIBUTING.md CHANGELOG.md _config.yml _toc.yml apt.txt Makefile pyproject.toml"
)
FOLDERS = "book ufs experiments findings binder benchmarks tests"
TOP = {*FILES.split(), *FOLDERS.split(), "requirements.txt", "constraints.txt"}
MADE = {"_build", "build", "universal_features.egg-info", "__pycache__", "node_modules"}
HIDDEN = {".ci", ".github", ".gitattributes", ".gitignore", ".pre-commit-config.yaml"}
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = PYPROJECT["project"]["version"]
RESULTS = [
    file
    for folder in ("benchmarks/results", "experiments")
    for kind in ("*.json", "*.npz")
    for file in sorted((PROJECT / folder).glob(kind))
]
TEXT = {
    ".cff",
    ".css",
    ".csv",
    ".in",
    ".ipynb",
    ".js",
    ".json",
    ".md",
    ".py",
    ".svg",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    "",
}


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def sources() -> list[Path]:
    """The project's own text files, without what the commands make."""
    found = []
    for folder, folders, files in os.walk(PROJECT):
        folders[:] = [name for name in folders if name not in MADE and (not name.startswith(".") or name in HIDDEN)]
        found += [Path(folder) / name for name in files]
    return [path for path in found if path.suffix in TEXT]


def test_nothing_else_stands_at_the_top() -> None:
    names = {path.name for path in PROJECT.iterdir()}
    assert {name for name in names if not name.startswith(".")} - MADE == TOP
    assert names >= HIDDEN


def test_make_lists_every_command() -> None:
    listed = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for command in ("book", "test", "floors", "check", "serve", "lab", "clean", "help"):
        assert re.search(rf"^ *make {command}\s+\S", listed, re.MULTILINE), f"make does not list {command}"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["PYTHON=false"], "Python 3.11 or later"),
        (["PYTHON=./old-python"], "Python 3.11 or later"),
        (["PYTHON=./no-venv"], "python3-venv"),
    ],
)
def test_a_failed_step_fails_the_command_and_says_what_to_do(arguments: list[str], advice: str, tmp_path: Path) -> None:
    for name, script in {
        "old-python": 'case "$1" in -c) exit 1;; esac',
        "no-venv": 'case "$1" in -m) exit 1;; esac',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text(read(name))
    run = subprocess.run(["make", "book", *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0
    assert advice in run.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("command", "program", "when", "advice"),
    [
        ("book", "python", "*pip*requirements.txt*", "The installation failed"),
        ("book", "jupyter-book", "*", "names a file and a line to mend"),
        ("test", "pytest", "*--doctest-modules*", "A test of the package or of the book failed"),
        ("test", "pytest", "*--nbval*", "A notebook does not reproduce"),
        ("floors", "uv", "*lowest-direct*", "Raise a floor in requirements.txt"),
        ("floors", "pytest", "*", "Raise its floor there and in pyproject.toml"),
        ("check", "ruff", "check*", "Try: .venv/bin/ruff check --fix ."),
        ("check", "ruff", "format*", "Run: .venv/bin/ruff format ."),
        ("check", "mypy", "*", "mypy found types that do not fit"),
    ],
)
def test_a_failed_program_ends_the_command_with_advice(
    command: str, program: str, when: str, advice: str, tmp_path: Path
) -> None:
    """The Makefile with programs that do nothing, but for one, which fails when its arguments fit a pattern."""
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (tmp_path / ".venv-floors").symlink_to(".venv")
    for name in ("python", "uv", "jupyter-book", "pytest", "ruff", "mypy", "check-jsonschema"):
        failure = f'case "$*" in {when}) exit 1;; esac' if name == program else ""
        (bin_folder / name).write_text(f"#!/bin/sh\n{failure}\n")
        (bin_folder / name).chmod(0o755)
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_text(read(name))
    run = subprocess.run(["make", command, "PYTHON=.venv/bin/python"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0
    assert advice in run.stderr.strip().splitlines()[-2]  # the last line is make's own
    assert "All tests passed" not in run.stdout


def test_nothing_is_installed_twice() -> None:
    """Under `make test` the environment has just been made: making it again has nothing to do."""
    stamp = PROJECT / ".venv" / "installed"
    if not stamp.exists():  # somebody's own environment, without make
        return
    run = subprocess.run(["make", "--question", ".venv/installed"], cwd=PROJECT)
    assert run.returncode == 0


def test_readme_gives_the_commands() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", read("README.md"), re.DOTALL)
    assert re.search(r"^make book\b.*\nmake test\b", blocks[0], re.MULTILINE)
    plain = "\n".join(blocks)
    makefile = read("Makefile")
    for command in (
        "jupyter-book build -W -n --keep-going .",
        "--doctest-modules ufs tests",
        "--nbval --nbval-current-env book",
    ):
        assert command in plain
        assert command in makefile
    assert "https://download.pytorch.org/whl/cpu" in plain


def test_readme_example_runs() -> None:
    example = re.search(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    assert example is not None
    subprocess.run([sys.executable, "-W", "error", "-c", example[1]], check=True, cwd="/")


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert ufs.__version__ == VERSION == str(citation["version"])
    released = date.fromisoformat(citation["date-released"])
    newest = re.search(r"^## (\S+) · (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION
    assert newest[2] == f"{released.day} {released:%B %Y}"


def release(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_no_chapter_is_newer_than_the_book(page: str) -> None:
    about = notebook(page).metadata["ufs"]
    assert release(about["version"]) <= release(VERSION)
    assert date.fromisoformat(about["date"]) <= date.fromisoformat(
        yaml.safe_load(read("CITATION.cff"))["date-released"]
    )


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.name)
def test_results_name_the_versions_that_made_them(file: Path) -> None:
    about = json.loads(np.load(file)["about"].item() if file.suffix == ".npz" else file.read_text(encoding="utf-8"))
    versions = about.get("versions", about)
    assert versions["numpy"]
    assert release(versions["ufs"]) <= release(VERSION)


def test_authors_and_licences_are_named_once() -> None:
    holder = "The Universal Features authors"
    assert f"Copyright (c) 2026, {holder}" in read("LICENSE")
    assert yaml.safe_load(read("CITATION.cff"))["authors"] == [{"name": holder}]
    assert PYPROJECT["project"]["authors"] == [{"name": holder}]
    assert PYPROJECT["project"]["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "BSD-3-Clause"
    assert read("README.md").count("CC BY 4.0") == 1


def test_constraints_pin_what_is_required() -> None:
    def names(text: str) -> set[str]:
        lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        return {re.split(r"[<>=!~\[; ]", line)[0].lower().replace("_", "-") for line in lines if line}

    pins = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "a pin names a machine's path or a local build"
    assert names(read("requirements.txt")) <= names(read("constraints.txt"))


def test_requirements_cover_what_the_package_declares() -> None:
    project = PYPROJECT["project"]
    extras = {name: declared for name, declared in project["optional-dependencies"].items() if name != "benchmarks"}
    assert {*project["dependencies"], *chain(*extras.values())} <= {
        line.partition("#")[0].strip() for line in read("requirements.txt").splitlines()
    }


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [("vendor.github-workflows", ".github/workflows/*.yml"), ("vendor.citation-file-format", "CITATION.cff")],
)
def test_files_fit_their_schemas(schema: str, pattern: str) -> None:
    files = list(PROJECT.glob(pattern))
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_actions_are_pinned_to_a_commit_and_permissions_are_least() -> None:
    for path in PROJECT.glob(".github/workflows/*.yml"):
        text = path.read_text(encoding="utf-8")
        assert all(
            re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", use) for use in re.findall(r"uses: (.+)", text)
        )
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {"contents": "read"}
        writing = {name for name, job in workflow["jobs"].items() if "write" in str(job.get("permissions"))}
        assert writing == {"publish"}


def test_ci_runs_the_readme_command_and_nothing_else() -> None:
    script = PROJECT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line.strip() for line in script.read_text().splitlines() if line.strip() and not line.startswith("#")]
    assert commands[-1] == "make test"
    assert not any("pip" in command for command in commands)


def test_files_speak_of_the_book_alone() -> None:
    """Nothing is left unfinished, and no file names a machine's folders."""
    unfinished = r"\b(?:TODO|FIXME)\b|NotImplementedError"
    addresses = r"pip install ufs|file:///|(?<![\w.])/(?:root|work|home|opt)/\w"
    traces = re.compile(f"{unfinished}|{addresses}")
    me = Path(__file__)
    names = {"test_notebooks.py", me.name, "test_prose.py"}  # they name what they look for
    found = [
        f"{path.relative_to(PROJECT)}: {match[0]}"
        for path in sources()
        if path.name not in names
        for match in traces.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_chapters_exist() -> None:
    assert CHAPTERS
