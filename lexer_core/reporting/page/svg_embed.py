"""How is a figure embedded in a page?

As inline SVG: it needs no script, prints well, is small, and uses the page's
colours and font.
"""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from lexer_core.reporting.page.theme import property_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figure_to_svg"]

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT_FAMILY = re.compile(r"font-family: [^;]*;? ?")
# A subpath without length, which a round cap turns into a dot.
_DOT = re.compile(r"M (\S+) (\S+)\s+L \1 \2(?=\s|$)")


def figure_to_svg(figure: Figure, *, key: str, title: str, description: str) -> str:
    """Return a figure as an ``<svg>`` element for an HTML page.

    Parameters
    ----------
    figure
        Drawn in the theme's light colours, which become CSS properties.
    key
        Prefix of every id, so that several figures can share a page.
    title, description
        What the figure is and what it shows, for screen readers.

    Raises
    ------
    KeyError
        A colour is not in the theme.
    """
    root = _parsed(figure)
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.attrib.pop("version", None)
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{key}-title {key}-desc",
        "class": "plot",
    }
    _follow_the_page(root, key)
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(_SVG + tag, {"id": f"{key}-{tag}"})
        element.text = text
        root.insert(at, element)
    # In HTML, SVG elements have no namespace prefix.
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _parsed(figure: Figure) -> ElementTree.Element:
    drawn = io.StringIO()
    with warnings.catch_warnings():
        # The browser draws the glyphs; matplotlib only measures them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(
            drawn,
            format="svg",
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )
    return ElementTree.fromstring(drawn.getvalue())  # noqa: S314  from matplotlib


def _follow_the_page(root: ElementTree.Element, key: str) -> None:
    """Use the page's colours and fonts, and make ids unique on the page."""
    for defs in root.findall(f"{_SVG}defs"):
        # A rule for "*" would apply to the whole page.
        for style in defs.findall(f"{_SVG}style"):
            defs.remove(style)
    used = {
        name
        for element in root.iter()
        for value in element.attrib.values()
        for name in (*_REFERENCE.findall(value), *([value[1:]] if value[:1] == "#" else []))
    }
    for element in root.iter():
        _without_space(element)
        attributes = element.attrib
        if attributes.get("id") in used:
            attributes["id"] = f"{key}-{attributes['id']}"
        else:
            attributes.pop("id", None)
        if _LINK in attributes:
            attributes["href"] = f"#{key}-{attributes.pop(_LINK)[1:]}"
        if "clip-path" in attributes:
            attributes["clip-path"] = _REFERENCE.sub(rf"url(#{key}-\1)", attributes["clip-path"])
        if "style" in attributes:
            plain = _FONT_FAMILY.sub("", attributes["style"])
            attributes["style"] = _COLOUR.sub(lambda found: property_of(found[0]), plain)
        if "d" in attributes:
            attributes["d"] = _compact(attributes["d"])
        for name in ("x", "y", "transform"):
            if name in attributes:
                attributes[name] = _NUMBER.sub(_rounded, attributes[name])


def _without_space(element: ElementTree.Element) -> None:
    if element.text is not None and not element.text.strip():
        element.text = None
    element.tail = None


def _compact(path: str) -> str:
    """Round a path to tenths of a pixel, and shorten its notation."""
    path = _DOT.sub(r"M\1 \2h0", _NUMBER.sub(_rounded, path))
    return re.sub(r"\s*([MLCQz])\s*", r"\1", path).strip()


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")
