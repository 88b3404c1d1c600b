"""Which model is exported, and what is its fingerprint?"""

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
    """A model that is traced once, when its fingerprint is first needed.

    Attributes
    ----------
    source
        The model. After tracing, it has a program in addition to the module.
    seconds
        How long tracing took.
    no_key_because
        Why the model has no fingerprint; empty if it has one or none was needed yet.
    """

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self.seconds = 0.0
        self.no_key_because = ""
        self._digest: str | None = None

    def key(
        self, format: str, exporter: Exporter, options: Mapping[str, OptionValue]
    ) -> str | None:
        """Return the fingerprint of an export; ``None`` for the reason in ``no_key_because``."""
        self._trace()
        if self.no_key_because:
            return None
        versions = installed_versions()
        versions["exporter"] = exporter.distribution
        versions["runtime"] = exporter.version or ""
        try:
            if self._digest is None:
                self._digest = digest_program(self.source.program)
        except CacheError as error:
            self.no_key_because = error.message
            return None
        return fingerprint(
            self.source,
            options,
            versions,
            format=format,
            exporter=exporter.name,
            program_digest=self._digest,
        )

    @contextlib.contextmanager
    def in_eval_mode(self) -> Iterator[None]:
        """Put the module in eval mode, and restore its mode and buffers afterwards."""
        if self.source.module is None:
            yield
            return
        from lexer_core.model.state import measured_state  # imports torch

        with measured_state(self.source.module):
            yield

    def _trace(self) -> None:
        source = self.source
        if source.program is not None or self.no_key_because:
            return
        # These import torch, which is installed wherever there is a module.
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
            self.no_key_because = f"torch.export cannot trace the model ({traced.reason})"
        else:
            self.source = attrs.evolve(source, program=traced.program)
