"""Does the engine run on the requested device only?"""

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


@SUITE.check("basic", "Users can choose from the list of devices.")
def devices_are_listed(fixture: EngineFixture) -> None:
    """List the devices twice, and find the one that the engine is checked on."""
    engine = fixture.engine
    devices = engine.list_devices()
    if not devices:
        raise CheckFailed(
            "lexer_list_devices returns no device.",
            "Without a device, nothing can be measured on this machine. Is a driver missing?",
        )
    again = engine.list_devices()
    if [(each, each.identifier) for each in again] != [(each, each.identifier) for each in devices]:
        raise CheckFailed(
            "the second call of lexer_list_devices returns other devices than the first.",
            "Return the same list each time: sessions use devices of an earlier list.",
        )
    try:
        engine.find_device(fixture.declared.device)
    except DeviceUnavailableError as error:
        raise CheckFailed(f"{error.message}", error.hint) from error


@SUITE.check("basic", "A row says GPU only if the model ran there: no engine falls back silently.")
def absent_device_is_refused(fixture: EngineFixture) -> None:
    """Request devices that are not available."""
    engine = fixture.engine
    for device in _absent(engine.list_devices()):
        try:
            session = engine.create_session(fixture.model("one_input"), device, fixture.config())
        except DeviceUnavailableError:
            continue
        except LexerError as error:
            raise CheckFailed(
                f"for device {device}, which is not available, lexer_create_session raises "
                f"{type(error).__name__}: {error.message}",
                "Raise DeviceUnavailableError, so that the cause is clear.",
            ) from error
        session.close()
        raise CheckFailed(
            f"lexer_create_session returns a session for {device}, which is not available.",
            "Raise DeviceUnavailableError for a device that lexer_list_devices does not return.",
        )


@SUITE.check("full", "Every device of the list works, and is used.")
def every_listed_device_works(fixture: EngineFixture) -> None:
    """Make a call on each device that is listed."""
    for device in fixture.engine.list_devices():
        with fixture.session(device=device) as opened:
            arrays = opened.case.trials()[0]
            expect_outputs(
                opened.answer(arrays),
                opened.case.reference(arrays),
                after=f"on device {device}",
                hint="List only devices that work.",
            )
            placement = opened.engine.describe_placement(opened.session)
        if placement.share == 0:
            raise CheckFailed(
                f"a session on {device} does no work there, by its own placement.",
                "Raise DeviceUnavailableError, or UnsupportedError for such a model.",
            )


@SUITE.check("full", "The reported placement is consistent, and reporting it has no side effects.")
def placement_is_consistent(fixture: EngineFixture) -> None:
    """Get the placement twice after a call, then call again."""
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
        hint="Getting the placement must not change the session.",
    )
    if placement == UNKNOWN_PLACEMENT or placement.share is None:
        raise Skip("the engine does not report a placement")
    if (again.share, tuple(again.fallbacks)) != (placement.share, tuple(placement.fallbacks)):
        raise CheckFailed(
            f"the first placement is {placement.share:.0%}, the second "
            f"{'unknown' if again.share is None else f'{again.share:.0%}'}.",
            "A session's placement must not change.",
        )
    if placement.share < 1 and not placement.fallbacks:
        raise CheckFailed(
            f"{placement.share:.0%} of the work is on the device, but `fallbacks` is empty.",
            "List in `fallbacks` what runs elsewhere, and where.",
        )
    if placement.share == 1 and placement.fallbacks:
        raise CheckFailed(
            "all of the work is on the device, but `fallbacks` lists "
            f"{', '.join(placement.fallbacks)}.",
            "`share` is the part of the work on the requested device.",
        )


def _absent(devices: tuple[Device, ...]) -> Iterator[Device]:
    kinds = {device.kind for device in devices}
    yield Device(kind="nosuchkind")
    if "cuda" not in kinds:
        yield Device(kind="cuda")
    for kind in sorted(kinds - {"cpu"}):  # to every engine, the CPU is one device
        yield Device(kind=kind, index=_FAR_INDEX)
