"""What does one run measure, as plain data, and how does this machine execute it?

``lexer benchmark``, ``lexer tune`` and every machine of a fleet call :func:`execute_plan`.
"""

from lexer_core.run_plan.execute import execute_plan
from lexer_core.run_plan.record import RunPlan

__all__ = ["RunPlan", "execute_plan"]
