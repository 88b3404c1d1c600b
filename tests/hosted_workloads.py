"""Reference workloads that fail, for worker processes to host."""

from __future__ import annotations

import os
import signal

from lexer_core.benchmark.reference_workload_session import ReferenceWorkloadSession


class RaisesAtStart(ReferenceWorkloadSession):
    def __init__(self):
        raise RuntimeError("no memory for the workload")


class DiesInWarmUp(ReferenceWorkloadSession):
    def warm_up(self, seconds, own_process):
        os.kill(os.getpid(), signal.SIGKILL)


class DiesInTheThirdBlock(ReferenceWorkloadSession):
    blocks = 0

    def block(self, count, own_process):
        self.blocks += 1
        if self.blocks == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().block(count, own_process)
