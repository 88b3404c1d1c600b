"""Which files does ONNXRuntime write for a profile?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, frozen

from lexer_core.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ProfileFiles"]

_WEIGHTS: Mapping[str, str] = {
    "session.optimized_model_external_initializers_file_name": "weights.bin",
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}
"""A file of more than 2 GiB cannot be read, and only the nodes are of interest."""


@frozen(kw_only=True, eq=False)
class ProfileFiles:
    """The files of a profiled session, in a folder that is removed with this object.

    Parameters
    ----------
    exported, optimized
        The model that was loaded, and the graph that ONNXRuntime made of it.
    profile
        The times of its nodes, as JSON.
    """

    exported: Path
    optimized: Path
    profile: Path
    _folder: TemporaryFolder

    @classmethod
    def requested(cls, options: Any, exported: Path) -> Self:
        """Set the options of a session so that it writes the files."""
        folder = TemporaryFolder("profile")
        files = cls(
            exported=exported,
            optimized=folder.path / "optimized.onnx",
            profile=folder.path / "profile",
            folder=folder,
        )
        options.enable_profiling = True
        options.profile_file_prefix = str(files.profile)
        options.optimized_model_filepath = str(files.optimized)
        for name, value in _WEIGHTS.items():
            options.add_session_config_entry(name, value)
        return files

    def finished(self, inference: Any) -> Self:
        """Let the session write the profile."""
        return evolve(self, profile=Path(inference.end_profiling()))
