"""How does a test get an engine that is really installed?

:class:`FakeSite` writes distributions (a module, and a ``.dist-info`` with its
metadata and entry points) into a folder. With that folder on ``sys.path`` or
``PYTHONPATH`` the real discovery finds them.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

GROUP = "lexer.engines"

NUMPY_ENGINE = '''
"""A small, correct engine for the format "affine": outputs are x @ weight + bias.

A model is an .npz file with float arrays ``weight`` and ``bias``; its input is
``x`` and its output ``y``.
"""

from lexer_core.errors import DeviceUnavailableError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption, ExportedModel, Placement, TensorSpec


class AffineSession:
    def __init__(self, path, scale):
        import numpy as np

        with np.load(path, allow_pickle=False) as arrays:
            self.weight = arrays["weight"] * scale
            self.bias = arrays["bias"] * scale

    def run(self, placed):
        return placed @ self.weight + self.bias

    def close(self):
        self.weight = self.bias = None


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Affine",
        runtime_modules=("numpy",),
        runtime_distributions=("numpy",),
        formats=("affine",),
        options=(
            EngineOption(name="scale", type=float, default=1.0, help="Scales the outputs."),
            EngineOption(
                name="order", type=str, default="row", choices=("row", "column"), help="Layout."
            ),
            EngineOption(name="fused", type=bool, default=None, help="Add while multiplying."),
            EngineOption(name="tile", type=int, default=None, help="Rows at a time."),
        ),
    )


@hookimpl
def lexer_create_session(exported, device, config):
    if device.kind != "cpu":
        raise DeviceUnavailableError(f"numpy has no device {device}")
    if config.precision:
        raise UnsupportedError(f"numpy computes in the model's own type, not {config.precision}")
    return AffineSession(exported.path, config.options.get("scale", 1.0))


@hookimpl
def lexer_place_inputs(inputs):
    return inputs.arrays["x"].copy()


@hookimpl
def lexer_fetch_outputs(outputs):
    return {"y": outputs}


@hookimpl
def lexer_describe_placement():
    return Placement(share=1.0, method="nodes")
'''
"""The source of a correct engine that runs on numpy alone, in the format "affine"."""

MINIMAL_ENGINE = """
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo


class EchoSession:
    def run(self, placed):
        return placed

    def close(self):
        pass


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Echo",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("echo",),
    )


@hookimpl
def lexer_create_session():
    return EchoSession()
"""
"""The source of the smallest correct engine: its outputs are its inputs."""


class FakeSite:
    """A folder of installed distributions.

    Parameters
    ----------
    folder
        Where to write; created if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def add_module(self, name: str, source: str) -> Path:
        """Write one module, without a distribution."""
        path = self.folder / f"{name}.py"
        path.write_text(dedent(source), encoding="utf-8")
        return path

    def add_distribution(
        self,
        name: str,
        *,
        version: str = "1.0",
        entry_points: str = "",
        requires: Sequence[str] = (),
    ) -> Path:
        """Write the metadata of one distribution, with the text of its entry points."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        headers = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        headers += [f"Requires-Dist: {requirement}" for requirement in requires]
        text = "\n".join(headers) + "\n\nName: not a header any more\n"
        (info / "METADATA").write_text(text, encoding="utf-8")
        if entry_points:
            (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        return info

    def add_engine(
        self,
        name: str,
        source: str = MINIMAL_ENGINE,
        *,
        distribution: str = "",
        version: str = "1.0",
        group: str = GROUP,
        value: str = "",
        requires: Sequence[str] = (),
    ) -> str:
        """Install an engine: its module and the distribution that names it.

        Parameters
        ----------
        name
            The entry point's name.
        source
            The module's source.
        distribution, version, requires
            Its metadata; the default name is ``lexer-NAME``.
        group
            The entry-point group.
        value
            The entry point's value; default: the module.

        Returns
        -------
        str
            The module's name.
        """
        distribution = distribution or f"lexer-{name}"
        module = f"{distribution}_{version}".replace("-", "_").replace(".", "_") + "_engine"
        self.add_module(module, source)
        self.add_distribution(
            distribution,
            version=version,
            requires=requires,
            entry_points=f"[{group}]\n{name} = {value or module}\n",
        )
        return module

    def environment(self) -> dict[str, str]:
        """Return this process's environment with the folder on ``PYTHONPATH``."""
        paths = [str(self.folder), os.environ.get("PYTHONPATH", "")]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    @contextmanager
    def on_path(self) -> Iterator[FakeSite]:
        """Put the folder on ``sys.path``, and forget its modules afterwards."""
        before = set(sys.modules)
        sys.path.insert(0, str(self.folder))
        try:
            yield self
        finally:
            sys.path.remove(str(self.folder))
            for name in set(sys.modules) - before:
                file = getattr(sys.modules[name], "__file__", None) or ""
                if file.startswith(str(self.folder)):
                    del sys.modules[name]
