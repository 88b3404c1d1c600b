"""Does the engine run where it was told to, and nowhere else?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.errors import DeviceUnavailableError, LexerError
from lexer_core.records import UNKNOWN_PLACEMENT, Device
from lexer_core.testing.expectations import expect_outputs
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Devices")

_FAR_INDEX = 99


@SUITE.check("basic", "The list of devices can be chosen from.")
def devices_are_listed(fixture: EngineFixture) -> None:
    """List the devices twice, and find the one that the engine is checked on."""
    engine = fixture.engine
    devices = engine.list_devices()
    if not devices:
        raise CheckFailed(
            "lexer_list_devices lists no device.",
            "Without one nothing can be measured here; is a driver missing?",
        )
    again = engine.list_devices()
    if [(each, each.identifier) for each in again] != [(each, each.identifier) for each in devices]:
        raise CheckFailed(
            "lexer_list_devices lists other devices when it is asked again.",
            "Sessions are created by devices of an earlier list.",
        )
    try:
        engine.find_device(fixture.declared.device)
    except DeviceUnavailableError as error:
        raise CheckFailed(f"{error.message}", error.hint) from error


@SUITE.check("basic", "A row says GPU only if it ran there: no engine falls back silently.")
def absent_device_is_refused(fixture: EngineFixture) -> None:
    """Ask for devices that are not there."""
    engine = fixture.engine
    for device in _absent(engine.list_devices()):
        try:
            session = engine.create_session(fixture.model("one_input"), device, fixture.config())
        except DeviceUnavailableError:
            continue
        except LexerError as error:
            raise CheckFailed(
                f"for device {device}, which is not there, lexer_create_session raises "
                f"{type(error).__name__}: {error.message}",
                "Raise DeviceUnavailableError, so that the reason can be told from others.",
            ) from error
        session.close()
        raise CheckFailed(
            f"lexer_create_session gives a session on {device}, which is not there.",
            "Raise DeviceUnavailableError for every device that lexer_list_devices does not list.",
        )


@SUITE.check("full", "Where the work really ran is told as it is, and telling it disturbs nothing.")
def placement_is_consistent(fixture: EngineFixture) -> None:
    """Ask for the placement after a call, twice, and call again."""
    with fixture.session() as opened:
        arrays = opened.case.trials()[0]
        call = opened.call(arrays)
        opened.run(call)
        placement = opened.engine.describe_placement(opened.session)
        again = opened.engine.describe_placement(opened.session)
        outputs = opened.fetch(opened.run(call))
    expect_outputs(
        outputs,
        opened.case.reference(arrays),
        after="after lexer_describe_placement",
        hint="Asking for the placement must not change the session.",
    )
    if placement == UNKNOWN_PLACEMENT or placement.share is None:
        raise Skip("the engine does not say where its work runs")
    if (again.share, tuple(again.fallbacks)) != (placement.share, tuple(placement.fallbacks)):
        raise CheckFailed(
            f"the placement is {placement.share:.0%} and then {again.share}.",
            "The same session runs in the same place.",
        )
    if placement.share < 1 and not placement.fallbacks:
        raise CheckFailed(
            f"{placement.share:.0%} of the work is on the device, and nothing says where the rest "
            "is.",
            "List in `fallbacks` what ran elsewhere, and where.",
        )
    if placement.share == 1 and placement.fallbacks:
        raise CheckFailed(
            "all of the work is on the device, and yet "
            f"{', '.join(placement.fallbacks)} ran elsewhere.",
            "`share` is the part on the device that was asked for.",
        )


def _absent(devices: tuple[Device, ...]) -> Iterator[Device]:
    kinds = {device.kind for device in devices}
    yield Device(kind="nosuchkind")
    if "cuda" not in kinds:
        yield Device(kind="cuda")
    for kind in sorted(kinds - {"cpu"}):  # every engine takes the CPU to be one
        yield Device(kind=kind, index=_FAR_INDEX)
