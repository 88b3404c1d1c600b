"""Which inputs does a rerun use when none are given?

Those of the base: generated again from the options recorded in its report, or
new ones of the same shapes and types. Both models get the same inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import InputError
from lexer_core.target.example_inputs import generated_inputs
from lexer_core.target.input_specs import InputSpec, parse_input_spec, with_batch_size

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport
    from lexer_core.target.example_inputs import ExampleInputs

__all__ = ["recreate_inputs"]

_NEW_INPUTS_NOTE = (
    "the base does not record how its inputs were generated: both models ran on new inputs of the "
    "same shapes and types, made with its seed; to use other inputs, pass --input or --inputs"
)


def recreate_inputs(base: BenchmarkReport, batch_size: int | None = None) -> ExampleInputs:
    """Generate the inputs that a base was measured with, or with another batch size.

    A report does not contain real inputs, and older reports do not record how
    inputs were generated; then the inputs are new ones of the same shapes and
    types, and the note says so.

    Raises
    ------
    InputError
        The report has no inputs.
    """
    seed = base.seed or 0
    if base.input_options:
        written = [parse_input_spec(text) for text in base.input_options]
        return generated_inputs(with_batch_size(written, batch_size), seed)
    if not base.input_specs:
        raise InputError(
            "the base does not record which inputs it was measured with.",
            hint="Pass inputs with --input or --inputs (in Python: input=…).",
        )
    specs = [
        InputSpec(name=spec.name, dtype=spec.dtype, shape=_sizes(spec.shape))
        for spec in base.input_specs
    ]
    return attrs.evolve(
        generated_inputs(with_batch_size(specs, batch_size), seed), note=_NEW_INPUTS_NOTE
    )


def _sizes(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    """Return the shape of a measured input, whose sizes are all known."""
    return tuple(int(size) for size in shape)
