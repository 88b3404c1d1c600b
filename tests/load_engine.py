"""An engine whose calls sleep for as long as the model says, and what it declares is chosen.

It takes the files of :mod:`scale_engine`. A call is 100 µs for each unit of work. It
sleeps, so that two instances need two threads and not two cores.
"""

from __future__ import annotations

from scale_engine import SCALE_ENGINE

__all__ = ["load_engine"]

_WORK = """        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
        return placed * self.factor
"""
_SLEEPS = """        time.sleep(self.seconds)
        return placed * self.factor
"""
_MIXES_UP = """        self.placed = placed * self.factor
        time.sleep(self.seconds)
        names = [thread.name for thread in threading.enumerate()]
        return self.placed * (1 if names.count("lexer-instance") < 2 else -1)
"""


def load_engine(name: str, concurrency: str, *, mixes_up: bool = False) -> str:
    """Return the source of an engine."""
    source = SCALE_ENGINE.replace(_WORK, _MIXES_UP if mixes_up else _SLEEPS)
    source = source.replace("shape=(2, 3)", 'shape=("batch", 3)')
    source = source.replace("import time\n", "import threading\nimport time\n")
    return source.replace('"Scale"', repr(name)).replace(
        'formats=("onnx",),', f'formats=("onnx",),\n        concurrency={concurrency!r},'
    )
