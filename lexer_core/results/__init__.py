"""What is in a report? Frozen, serialisable records, without rendering."""

from lexer_core.renamed import renamed_attribute
from lexer_core.results.benchmark_result import BenchmarkResult, Status
from lexer_core.results.profile import Profile, ProfilePart
from lexer_core.results.report_data import SCHEMA_VERSION, ReportData
from lexer_core.results.result_records import (
    Comparison,
    Environment,
    Failure,
    FirstDifference,
    Interval,
    OutputParity,
    Parity,
    Phase,
    ReferenceWorkloadTimes,
    Verdict,
)
from lexer_core.results.saved_model import SavedModel

__all__ = [
    "SCHEMA_VERSION",
    "BenchmarkResult",
    "Comparison",
    "Environment",
    "Failure",
    "FirstDifference",
    "Interval",
    "OutputParity",
    "Parity",
    "Phase",
    "Profile",
    "ProfilePart",
    "ReferenceWorkloadTimes",
    "ReportData",
    "SavedModel",
    "Status",
    "Verdict",
]


def __getattr__(name: str) -> object:
    return renamed_attribute(__name__, name)
