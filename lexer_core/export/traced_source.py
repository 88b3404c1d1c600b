"""Which model is exported, and what is its fingerprint?

A fingerprint needs the traced program, or the digest that an earlier run found for the
same model.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

import attrs

from lexer_core.engine_helpers import error_summary
from lexer_core.errors import CacheError
from lexer_core.export.fingerprint import digest_program, fingerprint, installed_versions
from lexer_core.export.identity import Identity, program_identity
from lexer_core.export.known_traces import KnownTrace
from lexer_core.export.tracing import trace
from lexer_core.export.untraced import untraced_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.export.exporters import Exporter
    from lexer_core.export.known_traces import KnownTraces
    from lexer_core.records import ModelSource, OptionValue

__all__ = ["TracedSource"]


class TracedSource:
    """A model that is traced once, when that is first needed.

    Parameters
    ----------
    source
        The model.
    known
        The traces of earlier runs; ``None`` to trace in any case.

    Attributes
    ----------
    source
        The model. After tracing, it has a program in addition to the module.
    seconds
        How long tracing took.
    no_key_because
        Why the model has no fingerprint; empty if it has one or none was needed yet.
    """

    def __init__(self, source: ModelSource, known: KnownTraces | None = None) -> None:
        self.source = source
        self.seconds = 0.0
        self.no_key_because = ""
        self._known_traces = known
        self._untraced: str | None = None
        self._known: KnownTrace | None = None
        self._digest: str | None = None

    def key(
        self, format: str, exporter: Exporter, options: Mapping[str, OptionValue]
    ) -> str | None:
        """Return the fingerprint of an export; ``None`` for the reason in ``no_key_because``."""
        digest = self._program_digest()
        if digest is None:
            return None
        versions = installed_versions()
        versions["exporter"] = exporter.distribution
        versions["runtime"] = exporter.version or ""
        return fingerprint(
            self.source,
            options,
            versions,
            format=format,
            exporter=exporter.name,
            program_digest=digest,
        )

    def trace(self) -> bool:
        """Trace the model if only its digest is known; return whether its key may be another."""
        if self._known is None:
            return False
        known, self._known = self._known, None
        return self._program_digest() != known.program

    def offer_program(self) -> None:
        """Trace a module that was not traced for its key, for an engine's own converter."""
        if self.source.module is not None:
            self._trace()

    def program_identity(self) -> Identity:
        """Return digests of the traced program; empty if it was not needed."""
        if self._known is not None:
            return Identity(digests=self._known.identity)
        if self.source.program is None:
            return Identity()
        return program_identity(self.source.program)

    def forget_known(self) -> None:
        """Trace the model again: what is known of it led to an export with wrong outputs."""
        if self._known is not None and self._known_traces is not None:
            assert self._untraced is not None
            self._known_traces.discard(self._untraced)
            self._known_traces = self._known = None

    @contextlib.contextmanager
    def in_eval_mode(self) -> Iterator[None]:
        """Put the module in eval mode, and restore its mode and buffers afterwards."""
        if self.source.module is None:
            yield
            return
        from lexer_core.model.state import measured_state  # imports torch

        with measured_state(self.source.module):
            yield

    def _program_digest(self) -> str | None:
        if self._digest is not None:
            return self._digest
        if self.source.program is None and self._known_traces is not None:
            if self._untraced is None:
                self._untraced = untraced_digest(self.source)
                if self._untraced is not None:
                    self._known = self._known_traces.find(self._untraced)
            if self._known is not None:
                return self._known.program
        self._trace()
        if self.no_key_because:
            return None
        try:
            self._digest = digest_program(self.source.program)
        except CacheError as error:
            self.no_key_because = error.message
            return None
        except Exception as error:  # a constant of an unusual kind may raise anything
            self.no_key_because = f"it has no fingerprint ({error_summary(error)})"
            return None
        self._remember()
        return self._digest

    def _remember(self) -> None:
        if self._untraced is None or self._known_traces is None or self._digest is None:
            return
        trace = KnownTrace(
            program=self._digest, identity=program_identity(self.source.program).digests
        )
        # A cache that cannot be written is noted when the export is stored.
        with contextlib.suppress(OSError):
            self._known_traces.add(self._untraced, trace)

    def _trace(self) -> None:
        source = self.source
        if source.program is not None or self.no_key_because:
            return
        # These import torch, which is installed wherever there is a module.
        from lexer_core.model.state import contains_torchscript
        from lexer_core.model.tensors import to_torch
        from lexer_core.model.wrapper import flattening_module

        if contains_torchscript(source.module):
            self.no_key_because = "torch.export does not trace TorchScript"
            return
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
