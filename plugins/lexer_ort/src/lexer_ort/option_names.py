"""What does ONNXRuntime call the values of options? Cheap to import."""

from __future__ import annotations

__all__ = ["OPTIMIZATION_LEVELS"]

OPTIMIZATION_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}
"""Names in ``GraphOptimizationLevel`` by value of the option."""
