"""What does one run measure?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.results.attrs_fields import mapping, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RunPlan"]


def _axes(vary: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return {
        name: texts(values if isinstance(values, list | tuple) else [values])
        for name, values in vary.items()
    }


@frozen(kw_only=True)
class RunPlan:
    """A benchmark or a tuning that can be executed on any machine.

    It consists of JSON types only, so it can be sent anywhere.

    Parameters
    ----------
    targets
        What to measure, as TARGET of ``lexer benchmark``; several share the rounds.
    inputs
        Descriptions of generated inputs, as ``--input``.
    inputs_file
        An ``.npz`` file of real inputs on the machine that measures, instead.
    second_inputs
        Descriptions of second inputs, or one ``.npz`` file, as ``--second-input``.
    batch_size
        The size of dimension 0 of every generated input.
    input_names, output_names
        Names of the model's tensors; empty for the defaults.
    interpreters
        Other Python interpreters, by engine or row, as ``--python``.
    vary
        The axes of a tuning, with their values; a run without axes is a benchmark.
    minimize, maximize, limits
        Goals and limits of a tuning.
    slo
        The limit on the latency of requests, for the goal ``rate``.
    settings
        Settings by name, as in :class:`~lexer_core.settings.table.Settings`; engines as
        they are written on the command line.
    name
        What to call the run among others.
    """

    targets: tuple[str, ...] = field(converter=texts)
    inputs: tuple[str, ...] = field(default=(), converter=texts)
    inputs_file: str | None = None
    second_inputs: tuple[str, ...] = field(default=(), converter=texts)
    batch_size: int | None = None
    input_names: tuple[str, ...] = field(default=(), converter=texts)
    output_names: tuple[str, ...] = field(default=(), converter=texts)
    interpreters: Mapping[str, str] = mapping()
    vary: Mapping[str, tuple[str, ...]] = field(factory=dict, converter=_axes)
    minimize: tuple[str, ...] = field(default=(), converter=texts)
    maximize: tuple[str, ...] = field(default=(), converter=texts)
    limits: tuple[str, ...] = field(default=(), converter=texts)
    slo: str | None = None
    settings: Mapping[str, object] = mapping()
    name: str = ""

    @property
    def is_tuning(self) -> bool:
        """Whether a space is searched."""
        return bool(self.vary)

    @property
    def title(self) -> str:
        """Its name, or what it measures."""
        return self.name or ", ".join(self.targets)
