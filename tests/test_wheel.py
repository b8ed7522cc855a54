"""The wheel has the whole package, and what it has is enough. No network, no installation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

import p2p

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "setup.cfg", "setup.py", "README.md", "LICENSE")
TIMEOUT_S = 50


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel, built in a copy, since setuptools leaves files beside its sources."""
    tree, folder = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "p2p", tree / "p2p", ignore=shutil.ignore_patterns("__pycache__"))
    # setup.py and setuptools ask no index; pip would, for the requirements of the build.
    subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=tree, check=True, capture_output=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    (wheel,) = folder.glob("p2p_blocking-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


#: What a frontend does with the [build-system] of pyproject.toml.
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def files(folder: Path) -> set[str]:
    """All files but compiled ones."""
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(path) for path in found if "__pycache__" not in path.parts}


def metadata(unpacked: Path) -> Message:
    (path,) = unpacked.glob("p2p_blocking-*.dist-info/METADATA")
    return message_from_string(path.read_text(encoding="utf-8"))


def test_wheel_has_every_file_of_the_package(unpacked: Path) -> None:
    assert files(unpacked / "p2p") == files(ROOT / "p2p")
    assert "py.typed" in files(unpacked / "p2p")


def test_wheel_has_nothing_but_the_package(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir()}
    assert names == {"p2p", f"p2p_blocking-{p2p.__version__}.dist-info"}


def test_wheel_says_what_setup_cfg_says(unpacked: Path) -> None:
    said = metadata(unpacked)
    assert (said["Name"], said["Version"]) == ("p2p-blocking", p2p.__version__)
    assert said["Requires-Python"] == ">=3.10"
    assert 'coincurve>=21.0.0; python_version < "3.14"' in said.get_all("Requires-Dist", [])
    assert said.get_all("License-File") == ["LICENSE"]


def test_demo_runs_with_the_wheel_alone(unpacked: Path, tmp_path: Path) -> None:
    for name in ("demo.py", "foo_bar.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    ask = "import p2p; print(p2p.__file__)"
    outputs = [
        subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S,
        ).stdout
        for arguments in (["-c", ask], ["demo.py"])
    ]  # fmt: skip
    assert outputs[0].strip() == str(unpacked / "p2p" / "__init__.py")
    assert outputs[1].splitlines()[1:] == [
        "dialer:   listener says bar",
        "listener: dialer says foo",
    ]
