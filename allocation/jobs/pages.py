"""Pages of HTML that open offline: templates with every cell escaped, and interactive charts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2


@cache
def environment() -> jinja2.Environment:
    """The templates of this package; what is put into them is text, never markup."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("allocation.jobs", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def chart_page(title: str, charts: Mapping[str, dict[str, Any]]) -> str:
    """One page with a chart that shows the figures under the pointer; `charts` has its spec, "light" and "dark"."""
    specs = json.dumps(charts, allow_nan=False)
    # In a script, text of the log that looks like markup must not end the script.
    specs = specs.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return environment().get_template("chart.html").render(title=title, charts=specs, library=_library())


@cache
def _library() -> str:
    import vl_convert

    script: str = vl_convert.javascript_bundle(None)  # type: ignore[arg-type]  # its stub forgets that None is allowed
    return script
