"""With which inputs is a base measured again?

With those of its own benchmark, made anew as ``lexer benchmark --input`` makes
them: from what its command line described, or from the specifications and the
seed that it kept. Both models get the same ones.
"""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.errors import InputError

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport

__all__ = ["InputsOfBase", "inputs_of_base"]

_DESCRIBED = "--input"
_FROM_FILE = "--inputs"
_BATCH_SIZE = "--batch-size"


@frozen(kw_only=True, eq=False)
class InputsOfBase:
    """What ``LexerContext.benchmark`` takes as ``input``, and where it is from.

    Parameters
    ----------
    value
        The inputs.
    described
        The descriptions that they were made from, as ``--input`` takes them.
    seed
        The seed that they were made with.
    note
        What a reader should know of them; may be empty.
    """

    value: object
    described: tuple[str, ...]
    seed: int
    note: str = ""


def inputs_of_base(base: BenchmarkReport) -> InputsOfBase:
    """Make the inputs that a base was measured with.

    Their values are the base's where its command line described them with
    ``--input``. Real inputs are not kept in a report: others of their shapes and
    types are made, and the note says so.

    Raises
    ------
    InputError
        The base does not say what it was measured with.
    """
    # The command line's own way of making inputs, so that they are the same.
    from lexer_core.target.input_specs import make_inputs, parse_input_spec, with_batch_size

    seed = base.seed or 0
    given = _given_on_command_line(base.command)
    described = tuple(given.get(_DESCRIBED, ()))
    batch_size = None
    note = ""
    if described:
        batch_size = int(given[_BATCH_SIZE][-1]) if _BATCH_SIZE in given else None
    else:
        described = tuple(
            f"{spec.name}={spec.dtype}[{','.join(map(str, spec.shape))}]"
            for spec in base.input_specs
        )
        if not described:
            raise InputError(
                "the base does not say which inputs it was measured with.",
                hint="Give them: input=…, or --input and --inputs on the command line.",
            )
        if not base.command:
            note = "inputs were made from the base's specifications and seed"
        elif _FROM_FILE in given:
            note = (
                f"the base was measured with the inputs in {given[_FROM_FILE][-1]}, which it does "
                "not hold: others of their shapes and types were made, for both models"
            )
    specs = with_batch_size(map(parse_input_spec, described), batch_size)
    return InputsOfBase(value=make_inputs(specs, seed), described=described, seed=seed, note=note)


def _given_on_command_line(command: str) -> dict[str, list[str]]:
    """Read the options of inputs, each with its values, from a base's command line."""
    try:
        words = shlex.split(command)
    except ValueError:  # written by hand, with a quote that is not closed
        return {}
    given: dict[str, list[str]] = {}
    for option, value in itertools.pairwise(words):
        if option in (_DESCRIBED, _FROM_FILE, _BATCH_SIZE):
            given.setdefault(option, []).append(value)
    return given
