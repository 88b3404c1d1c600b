"""Which settings of torch has the caller changed, and how do they get to a worker?

The model must run in a worker as it does in the caller's process. The settings are
sent as plain values by name; the worker sets those whose values differ from its own.
The number of threads is Lexer's own setting, and gradients are always off. torch is
looked up, not imported: until it is imported, nothing was changed.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.machine.affinity import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["apply_torch_settings", "read_torch_settings", "threads_set_by_caller"]

_FLAGS = (
    "backends.fp32_precision",
    "backends.mkldnn.enabled",
    "backends.mkldnn.deterministic",
    "backends.mkldnn.allow_tf32",
    "backends.mkldnn.fp32_precision",
    "backends.mkldnn.matmul.fp32_precision",
    "backends.mkldnn.conv.fp32_precision",
    "backends.mkldnn.rnn.fp32_precision",
    "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.fp32_precision",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_fp16_accumulation",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.benchmark_limit",
    "backends.cudnn.deterministic",
    "backends.cudnn.allow_tf32",
    "backends.cudnn.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.cudnn.rnn.fp32_precision",
    "backends.miopen.immediate",
    "backends.opt_einsum.enabled",
    "backends.opt_einsum.strategy",
    "backends.quantized.engine",
    "utils.deterministic.fill_uninitialized_memory",
)
"""Attributes of torch that are read and written like variables."""

_FUNCTIONS = (
    ("backends.mha.get_fastpath_enabled", "backends.mha.set_fastpath_enabled"),
    ("backends.cuda.flash_sdp_enabled", "backends.cuda.enable_flash_sdp"),
    ("backends.cuda.mem_efficient_sdp_enabled", "backends.cuda.enable_mem_efficient_sdp"),
    ("backends.cuda.math_sdp_enabled", "backends.cuda.enable_math_sdp"),
    ("backends.cuda.cudnn_sdp_enabled", "backends.cuda.enable_cudnn_sdp"),
    (
        "backends.cuda.fp16_bf16_reduction_math_sdp_allowed",
        "backends.cuda.allow_fp16_bf16_reduction_math_sdp",
    ),
    ("is_autocast_cache_enabled", "set_autocast_cache_enabled"),
)
"""Functions of torch that read a value, and those that set it."""

_LIBRARIES = ("preferred_linalg_library", "preferred_blas_library", "preferred_rocm_fa_library")
_AUTOCAST_DEVICES = ("cpu", "cuda", "xpu", "mps")
_CONFIGURATIONS = ("torch._dynamo.config", "torch._inductor.config", "torch._functorch.config")
_PLAIN = (bool, int, float, str, type(None))


@frozen
class _Setting:
    """One setting; its values are plain, so that they can be sent."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def read_torch_settings() -> dict[str, Any]:
    """Return the settings of this process and thread by name; empty before torch is imported."""
    if "torch" not in sys.modules:
        return {}
    found = {}
    for setting in _settings():
        value = _value_of(setting)
        if value is not _UNKNOWN:
            found[setting.name] = value
    return found


def apply_torch_settings(settings: Mapping[str, Any]) -> list[str]:
    """Set what differs here, in a process that runs a model.

    Parameters
    ----------
    settings
        The result of :func:`read_torch_settings` in the caller's process.

    Returns
    -------
    list of str
        Notes about settings that could not be set.
    """
    if not settings:
        return []
    import torch  # noqa: F401  only a process with settings to apply imports it

    problems = []
    for setting in _settings():
        if setting.name not in settings:
            continue
        wanted = settings[setting.name]
        if _value_of(setting) == wanted:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                setting.write(wanted)
        except Exception as error:  # another build of torch may lack what the value needs
            problems.append(
                f"the caller's torch setting {setting.name} = {wanted!r} could not be applied "
                f"in the worker: {type(error).__name__}: {error}"
            )
    return problems


def threads_set_by_caller() -> int | None:
    """Return torch's threads per operator in this process, unless they are the default.

    ``None`` before torch is imported.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    import psutil  # slow to import, and needed once per run

    threads: int = torch.get_num_threads()
    defaults = (len(usable_cpus()), psutil.cpu_count(logical=False))
    return None if threads in defaults else threads


_UNKNOWN = object()


def _value_of(setting: _Setting) -> Any:
    try:
        # A getter may warn that there is a newer one.
        with warnings.catch_warnings(action="ignore"):
            return setting.read()
    except Exception:  # not in this build of torch, or undefined after another setting
        return _UNKNOWN


def _settings() -> Iterator[_Setting]:
    """Yield the settings in the order in which they are to be set."""
    import torch  # only where it is imported already

    yield _Setting(
        "default_dtype",
        lambda: str(torch.get_default_dtype()).removeprefix("torch."),
        lambda name: torch.set_default_dtype(getattr(torch, name)),
    )
    yield _Setting("default_device", _default_device, torch.set_default_device)
    yield _Setting(
        "deterministic_algorithms",
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    )
    # First what sets several of the flags below.
    yield _Setting(
        "float32_matmul_precision",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    )
    for flag in _FLAGS:
        owner, _, attribute = flag.rpartition(".")
        yield _Setting(
            flag,
            lambda flag=flag: _plain(_attribute(torch, flag)),  # type: ignore[misc]
            lambda value, owner=owner, attribute=attribute: setattr(  # type: ignore[misc]
                _attribute(torch, owner), attribute, value
            ),
        )
    for getter, setter in _FUNCTIONS:
        yield _Setting(
            getter,
            lambda getter=getter: _plain(_attribute(torch, getter)()),  # type: ignore[misc]
            lambda value, setter=setter: _attribute(torch, setter)(value),  # type: ignore[misc]
        )
    for library in _LIBRARIES:
        name = f"backends.cuda.{library}"
        yield _Setting(
            name,
            lambda name=name: _attribute(torch, name)().name.lower(),  # type: ignore[misc]
            lambda value, name=name: _attribute(torch, name)(value),  # type: ignore[misc]
        )
    yield _Setting("flush_denormal", _flushes_denormal, torch.set_flush_denormal)
    for device in _AUTOCAST_DEVICES:
        yield _Setting(
            f"autocast {device}",
            lambda device=device: (  # type: ignore[misc]
                torch.is_autocast_enabled(device),
                str(torch.get_autocast_dtype(device)).removeprefix("torch."),
            ),
            lambda value, device=device: _set_autocast(device, *value),  # type: ignore[misc]
        )
    for module in _CONFIGURATIONS:
        yield _Setting(
            module,
            lambda module=module: _changed_options(module),  # type: ignore[misc]
            lambda value, module=module: _set_options(module, value),  # type: ignore[misc]
        )


def _default_device() -> str | None:
    """Return the device that the caller set, or ``None`` if it is torch's own default.

    torch intercepts every call once a default device is set, so it is not set needlessly.
    """
    import torch  # only where it is imported already

    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else str(torch.get_default_device())


def _flushes_denormal() -> bool:
    """Whether this thread rounds denormal numbers to zero; torch cannot be asked."""
    return sys.float_info.min / 2 == 0.0


def _set_autocast(device: str, enabled: bool, dtype: str) -> None:
    import torch  # only where it is imported already

    torch.set_autocast_enabled(device, enabled)
    torch.set_autocast_dtype(device, getattr(torch, dtype))


def _changed_options(module: str) -> dict[str, Any]:
    """Return the options of a part of torch that are not at their defaults."""
    config = sys.modules.get(module)  # looked up: importing dynamo takes a second
    if config is None:
        return {}
    changed = {}
    for name, entry in config._config.items():
        if name.startswith("_") or getattr(entry, "alias", None) is not None:
            continue
        value = getattr(config, name)
        if value != entry.default and isinstance(value, _PLAIN):
            changed[name] = value
    return changed


def _set_options(module: str, values: Mapping[str, Any]) -> None:
    import importlib  # only if an option was changed, which is rare

    config = importlib.import_module(module)
    for name, value in values.items():
        setattr(config, name, value)


def _attribute(root: Any, path: str) -> Any:
    for name in path.split("."):
        root = getattr(root, name)
    return root


def _plain(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) else _UNKNOWN
