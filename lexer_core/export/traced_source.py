"""Which model is exported, and how is it told from another?"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import CacheError
from lexer_core.export.fingerprint import digest_program, fingerprint, installed_versions
from lexer_core.export.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.export.exporters import Exporter
    from lexer_core.records import ModelSource, OptionValue

__all__ = ["TracedSource"]


class TracedSource:
    """A model that is traced once, when its fingerprint is first asked for.

    Attributes
    ----------
    source
        The model; with its program beside the module as soon as it was traced.
    seconds
        What tracing took.
    unknown
        Why it has no fingerprint; empty while it has one or was not asked.
    """

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self.seconds = 0.0
        self.unknown = ""
        self._digest: str | None = None

    def key(self, format: str, maker: Exporter, options: Mapping[str, OptionValue]) -> str | None:
        """Make the fingerprint of an export, or ``None`` for a reason in ``unknown``."""
        self._trace()
        if self.unknown:
            return None
        versions = installed_versions()
        versions["maker"] = maker.distribution
        versions["runtime"] = maker.version or ""
        try:
            if self._digest is None:
                self._digest = digest_program(self.source.program)
        except CacheError as error:
            self.unknown = error.message
            return None
        return fingerprint(
            self.source,
            options,
            versions,
            format=format,
            maker=maker.name,
            program_digest=self._digest,
        )

    @contextlib.contextmanager
    def in_eval_mode(self) -> Iterator[None]:
        """Put a module into eval mode, and leave it as it was found."""
        if self.source.module is None:
            yield
            return
        from lexer_core.model.state import measured_state  # imports torch

        with measured_state(self.source.module):
            yield

    def _trace(self) -> None:
        source = self.source
        if source.program is not None or self.unknown:
            return
        # They import torch, and a module is there only where torch is.
        from lexer_core.model.tensors import to_torch
        from lexer_core.model.wrapper import flattening_module

        flat = flattening_module(
            source.module, source.inputs.structure, source.input_names, source.output_names
        )
        first = next(itertools.chain(flat.parameters(), flat.buffers()), None)
        device = None if first is None else first.device
        tensors = [to_torch(source.inputs.arrays[name], device) for name in source.input_names]
        start = time.perf_counter()
        traced = trace(flat, tensors, source.input_names, source.dynamic_axes)
        self.seconds = time.perf_counter() - start
        if traced.program is None:
            self.unknown = f"torch.export cannot trace the model ({traced.reason})"
        else:
            self.source = attrs.evolve(source, program=traced.program)
