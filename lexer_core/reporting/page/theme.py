"""Which colours does a page have, in the light and in the dark theme?

Each role has one shade per theme. Figures are drawn in the light shades, which
are then replaced by the CSS custom properties of their roles. So the light shades
must differ from each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ROLES", "SERIES", "Shades", "custom_properties", "light", "property_of"]


@frozen
class Shades:
    """One role's colour on a light and on a dark page."""

    light: str
    dark: str


SERIES = 7
"""Number of engine colours; more engines differ in their dashes."""

ROLES: Mapping[str, Shades] = {
    "page": Shades("#ffffff", "#12161b"),
    "surface": Shades("#f4f6f8", "#1c2229"),
    "text": Shades("#1b1f24", "#e7e9ec"),
    "muted": Shades("#55606b", "#a9b2bc"),
    "border": Shades("#c9d1d9", "#3a434d"),
    "grid": Shades("#e1e5ea", "#2a313a"),
    "band": Shades("#eceff3", "#222933"),
    "link": Shades("#0b57a4", "#7db8ff"),
    "good": Shades("#1a7034", "#5ac97a"),
    "bad": Shades("#b3261e", "#ff8f85"),
    # With every common form of colour blindness they differ in lightness and
    # blue-yellow content.
    "series-1": Shades("#0060a8", "#6cb6ff"),
    "series-2": Shades("#b34700", "#ffa066"),
    "series-3": Shades("#00705a", "#4fd1b0"),
    "series-4": Shades("#8a3a8a", "#e39be3"),
    "series-5": Shades("#6b5500", "#d9c35a"),
    "series-6": Shades("#4d4d4d", "#c4c9cf"),
    "series-7": Shades("#00708f", "#5fd3f0"),
}
"""Every colour of a page, by its role."""


def light(role: str) -> str:
    """Return the colour in which figures are drawn."""
    return ROLES[role].light


def property_of(colour: str) -> str:
    """Return the CSS value of a light colour's role.

    Raises
    ------
    KeyError
        No role has this colour, so it could not change with the theme.
    """
    return f"var(--{_BY_LIGHT[colour]})"


_BY_LIGHT = {shades.light: role for role, shades in ROLES.items()}


def custom_properties() -> str:
    """Return the style sheet that defines the roles for both themes and for print."""
    bright = "".join(f"--{role}:{shades.light};" for role, shades in ROLES.items())
    dark = "".join(f"--{role}:{shades.dark};" for role, shades in ROLES.items())
    return (
        f":root{{color-scheme:light dark;{bright}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )
