"""What is shipped, and what importing it does."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import strands_session_store

ROOT = Path(__file__).parents[1]


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("name", ["strands", "pydantic", "sqlite3", "boto3", "redis", "typer", "rich", "fastapi"])
def test_importing_the_package_loads_none_of_its_dependencies(name: str) -> None:
    assert run(f"import sys, strands_session_store; print({name!r} in sys.modules)") == "False\n"


@pytest.mark.parametrize("name", ["redis", "typer", "rich", "fastapi", "pytest", "hypothesis"])
def test_a_session_manager_needs_no_extra(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None; from strands_session_store import SQLiteSessionManager"
    run(code)


@pytest.mark.parametrize("name", strands_session_store.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(strands_session_store, name) is not None
    assert name in dir(strands_session_store)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="RedisThing"):
        _ = strands_session_store.RedisThing  # type: ignore[attr-defined]


def test_public_errors_are_session_exceptions_of_strands() -> None:
    from strands.types.exceptions import SessionException

    for name in ("StoreError", "ConflictError", "SessionNotFoundError", "InvalidIdError", "Unavailable"):
        assert issubclass(getattr(strands_session_store, name), SessionException)


def test_the_lowest_strands_that_is_tested_is_the_lowest_that_is_promised() -> None:
    promised = re.search(r'"strands-agents>=([\d.]+),', (ROOT / "pyproject.toml").read_text())
    assert promised is not None
    assert f"LOWEST := {promised[1]}.0\n" in (ROOT / "Makefile").read_text()
    assert f'"=={promised[1]}.0"' in (ROOT / ".github/workflows/ci.yml").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--quiet",
        "--no-deps",
        "-w",
        out,
        ROOT,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    source = ROOT / "src"
    here = {
        path.relative_to(source).as_posix()
        for path in (source / "strands_session_store").rglob("*")
        if path.is_file() and path.suffix in {".py", ".lua", ".typed"}
    }
    shipped = set(zipfile.ZipFile(wheel).namelist())
    assert "strands_session_store/py.typed" in shipped
    assert {name for name in shipped if ".dist-info/" not in name} == here


def test_the_wheel_declares_its_license_entry_point_and_two_dependencies(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")).removesuffix("METADATA")
    metadata = archive.read(f"{info}METADATA").decode()
    assert f"Version: {strands_session_store.__version__}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert sorted(line.split()[1].split("<")[0].split(">")[0] for line in needed) == ["pydantic", "strands-agents"]
    assert "strands-session = strands_session_store.cli:main" in archive.read(f"{info}entry_points.txt").decode()
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
