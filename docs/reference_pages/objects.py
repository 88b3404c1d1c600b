"""How is a public object described, with its signature, docstring and members?"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from reference_pages.docstrings import anchor_of, as_code, read_docstring, to_markdown
from reference_pages.signatures import constant_of, signature_of, written_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from reference_pages.docstrings import Docstring, Link

__all__ = ["Links", "describe_object", "members_of", "render_docstring"]

_LISTS = {
    "Parameters": "Parameters",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Yields": "Yields",
    "Raises": "Raises",
}


@frozen
class Links:
    """The page and anchor of each public name.

    ``places`` maps ``Name``, ``Name.member`` and ``module.Name`` to page and anchor.
    """

    places: dict[str, list[tuple[str, str]]] = field(factory=dict)

    def add(self, page: str, module: str, heading: str) -> None:
        """Add a name that a page describes under a heading."""
        place = (page, anchor_of(heading))
        for name in (heading, f"{module}.{heading}"):
            self.places.setdefault(name, []).append(place)

    def seen_from(self, page: str, owner: str = "") -> Link:
        """Return the function that links names from a page and a class on it."""

        def link(name: str) -> str:
            shown = f"`{name.rpartition('.')[2]}`"
            candidates = [f"{owner}.{name}", name, ".".join(name.split(".")[-2:]), shown[1:-1]]
            for candidate in candidates:
                places = self.places.get(candidate)
                if places:
                    # If two pages describe a name, prefer this page.
                    place, anchor = min(places, key=lambda each: each[0] != page)
                    return f"[{shown}]({'' if place == page else place}#{anchor})"
            return shown

        return link


def members_of(cls: type) -> Iterator[tuple[str, object]]:
    """Yield the public methods and properties that a class defines itself.

    Test methods are left out; only pytest calls them.
    """
    for name, member in vars(cls).items():
        if name.startswith(("_", "test_")):
            continue
        if inspect.isfunction(member) or isinstance(member, (property, classmethod, staticmethod)):
            yield name, member


def describe_object(
    module: ModuleType, name: str, links: Links, page: str, *, import_from: str
) -> Iterator[str]:
    """Yield the Markdown blocks of a public object, starting with its heading.

    Parameters
    ----------
    module
        The module that defines it.
    name
        Its name there.
    links
        The pages of other names.
    page
        The page that contains the object.
    import_from
        The module that users import it from.

    Raises
    ------
    ValueError
        The object has no docstring.
    """
    value: Any = getattr(module, name)
    yield f"### {name}"
    introduction = f"from {import_from} import {name}\n\n"
    if not isinstance(value, type) and not inspect.isfunction(value):
        assignment, text = constant_of(module, name)
        yield as_code(introduction + assignment)
        if text:
            yield from render_docstring(read_docstring(text), links.seen_from(page))
        return
    yield as_code(introduction + _call(name, value))
    yield from render_docstring(_docstring(value, name), links.seen_from(page, name))
    if isinstance(value, type):
        yield from _help_of_fields(value)
        for member_name, member in members_of(value):
            yield from _describe_member(name, member_name, member, links.seen_from(page, name))


def _help_of_fields(cls: type) -> Iterator[str]:
    """Yield the list of a record's fields, where each carries its own line of help."""
    fields = attrs.fields(cls) if attrs.has(cls) else ()
    if any("help" in each.metadata for each in fields):
        yield "\n".join(f"- `{each.name}`: {each.metadata['help']}" for each in fields)


def _call(name: str, value: Any) -> str:
    # A protocol is not called, and an enumeration shows what it may be.
    if getattr(value, "_is_protocol", False):
        return f"class {name}(Protocol)"
    if hasattr(value, "__members__"):
        listed = "".join(f"    {each.name} = {written_value(each.value)}\n" for each in value)
        return f"class {name}:\n{listed}".rstrip()
    return signature_of(name, value)


def _describe_member(owner: str, name: str, member: Any, link: Link) -> Iterator[str]:
    yield f"#### {owner}.{name}"
    if isinstance(member, property):
        annotation = inspect.signature(member.fget).return_annotation  # type: ignore[arg-type]
        yield as_code(f"{owner}.{name}: {annotation}  # a property")
        member = member.fget
    else:
        member = getattr(member, "__func__", member)
        yield as_code(signature_of(f"{owner}.{name}", member))
    yield from render_docstring(_docstring(member, f"{owner}.{name}"), link)


def _docstring(value: Callable[..., Any], name: str) -> Docstring:
    # Not inspect.getdoc: a class without a docstring would inherit one.
    if not value.__doc__:
        raise ValueError(f"{name} is public and has no docstring")
    return read_docstring(value.__doc__)


def render_docstring(docstring: Docstring, link: Link) -> Iterator[str]:
    """Yield a docstring's Markdown blocks."""
    yield to_markdown(docstring.summary, link)
    if docstring.body:
        yield to_markdown(docstring.body, link)
    for section, title in _LISTS.items():
        entries = docstring.entries.get(section)
        if entries:
            yield f"**{title}**"
            yield "\n".join(
                _item(entry.names, entry.text, link, linked=section != "Parameters")
                for entry in entries
            )
    for title, text in docstring.texts.items():
        yield f"**{title}**"
        yield to_markdown(text, link)


def _item(names: Iterable[str], text: str, link: Link, *, linked: bool) -> str:
    shown = ", ".join(link(name) if linked else f"`{name}`" for name in names)
    lines = to_markdown(text, link).splitlines() if text else []
    if not lines:
        return f"- {shown}"
    below = "".join(f"\n  {line}" if line else "\n" for line in lines[1:])
    return f"- {shown}: {lines[0]}{below}"
