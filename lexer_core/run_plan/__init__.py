"""What does one run measure, as plain data, and how does this machine execute it?

The commands that measure a model and every machine of a fleet call :func:`execute_plan`;
``lexer load`` calls :func:`execute_load_test`.
"""

from lexer_core.run_plan.execute import execute_load_test, execute_plan
from lexer_core.run_plan.record import RunPlan

__all__ = ["RunPlan", "execute_load_test", "execute_plan"]
