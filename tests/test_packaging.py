"""What setup.cfg promises to an installer, read against the supported Pythons. No network.

`make wheels` asks the package index whether each of them finds a wheel for everything.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
SYSTEMS = ("linux", "darwin")

#: Bindings of libsecp256k1, of which each Python installs one, and AES and Keccak that keep the
#: interpreter lock (docs/design/crypto-backends.md).
CURVES = {"coincurve", "btclib-secp256k1"}
CIPHERS = {"cryptography", "safe-pysha3"}
#: Distributions without a wheel for some of PYTHONS, or with one too old to be used.
NO_WHEEL = {"coincurve": {"3.14", "3.15"}, "btclib-secp256k1": {"3.10"}}

CONFIG = configparser.ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")

each_python = pytest.mark.parametrize("python", PYTHONS)


def requirements(text: str) -> list[Requirement]:
    """The requirements of an option of setup.cfg."""
    lines = [line.strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


REQUIRED = requirements(CONFIG["options"]["install_requires"])
EXTRAS = {name: requirements(text) for name, text in CONFIG["options.extras_require"].items()}


def chosen(listed: list[Requirement], python: str, system: str = "linux") -> list[str]:
    """The distributions that CPython of this version installs."""
    environment = {
        **default_environment(),
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": system,
    }
    return [one.name for one in listed if one.marker is None or one.marker.evaluate(environment)]


def test_classifiers_name_the_supported_pythons() -> None:
    classifiers = CONFIG["metadata"]["classifiers"]
    assert tuple(re.findall(r":: (3\.\d+)$", classifiers, re.MULTILINE)) == PYTHONS


def test_installer_accepts_each_supported_python() -> None:
    accepted = SpecifierSet(CONFIG["options"]["python_requires"])
    assert [python for python in PYTHONS if f"{python}.0" not in accepted] == []
    assert "3.9.20" not in accepted


def test_readme_names_the_first_and_the_last_python() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in readme


@each_python
@pytest.mark.parametrize("system", SYSTEMS)
def test_one_binding_of_secp256k1_is_installed(python: str, system: str) -> None:
    names = [name for name in chosen(REQUIRED, python, system) if name in CURVES]
    assert names == ["coincurve" if python < "3.14" else "btclib-secp256k1"]


@each_python
def test_ciphers_that_keep_the_lock_are_installed(python: str) -> None:
    assert set(chosen(REQUIRED, python)) > CIPHERS


@each_python
@pytest.mark.parametrize("extra", ["", "dns", "test", "lint"])
def test_nothing_is_required_that_has_no_wheel(python: str, extra: str) -> None:
    names = chosen(EXTRAS[extra] if extra else REQUIRED, python)
    assert [name for name in names if python in NO_WHEEL.get(name, ())] == []


@each_python
def test_tests_have_each_binding_with_a_wheel(python: str) -> None:
    names = {*chosen(REQUIRED, python), *chosen(EXTRAS["test"], python)}
    assert names & CURVES == {name for name in CURVES if python not in NO_WHEEL[name]}


def test_tests_have_each_library_that_a_program_may_add() -> None:
    assert {str(one) for one in EXTRAS["dns"]} <= {str(one) for one in EXTRAS["test"]}


@each_python
@pytest.mark.parametrize("extra", ["", "dns", "test", "lint"])
def test_each_distribution_is_required_once(python: str, extra: str) -> None:
    names = chosen(EXTRAS[extra] if extra else REQUIRED, python)
    assert len(names) == len(set(names))


def test_every_requirement_has_a_lower_bound() -> None:
    for one in [*REQUIRED, *(one for extra in EXTRAS.values() for one in extra)]:
        assert ">=" in {bound.operator for bound in one.specifier}, str(one)
