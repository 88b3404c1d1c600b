"""How is a benchmark shown as an HTML page?

One self-contained file. It needs the extra ``lexer-core[report]``, which is
imported on use.
"""

from __future__ import annotations

from lexer_core.reporting.page.render import check_extra, report_page

__all__ = ["check_extra", "report_page"]
