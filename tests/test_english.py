"""Is the text that people read free of phrases that are not idiomatic English?

The list contains phrases that once were frequent here and that have no good use. It
is short on purpose: a phrase with a legitimate use does not belong in it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

PHRASES = {
    r"\bwhom\b": "who",
    r"\bonce more\b": "again",
    r"\banew\b": "again",
    r"\bsuch an? one\b": "this one",
    r"\bbelongs? into\b": "belongs in",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bwhich (it|they) (has|have) not\b": "which it does not have",
    r"\b(Windows|macOS|Linux) has not\b": "not on Windows",
    r"\bunless given\b": "default: ...",
    r"\bas far as (it )?is known\b": "if known",
    r"\b(cannot|can not) be had\b": "is not available",
    r"\bkeeps its row\b": "is listed but not ranked",
    r"\bwithout a word\b": "silently",
    r"\bneighbouring (samples|rounds) resemble\b": "samples are autocorrelated",
    r"\bmood of the machine\b": "machine conditions",
    r"(?<!\bthere )\bis no (\w+ )?(model|setting|file|tensor|hook|error|failure|name)\b": (
        "is not a valid ..."
    ),
    r"(?<!\bthere )\bis no \w+ of\b": "is not a ... of",
}


def read_files() -> Iterator[Path]:
    """Yield the files that people read; docs/reference is generated from the docstrings."""
    yield from sorted(ROOT.glob("*.md"))
    yield ROOT / "noxfile.py"
    for folder in ("docs", "lexer", "lexer_core", "plugins", "examples", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*")):
            generated = path.parent == ROOT / "docs/reference"
            readable = path.suffix in {".md", ".py", ".txt", ".html"}
            if readable and not generated and "tests" not in path.parts[len(ROOT.parts) :]:
                yield path


def without_output(page: str) -> str:
    """Blank the fences that quote what Lexer printed; the code that printed it is read."""
    return re.sub(
        r"```text\n.*?```", lambda match: "\n" * match[0].count("\n"), page, flags=re.DOTALL
    )


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the first line and the text of each passage: a whole page, a string, a comment."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, without_output(source)
        return
    tree = ast.parse(source)
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "X"
                    for part in node.values
                ),
            )
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts
        ):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def phrases_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line within the text, the phrase and a better one."""
    words = list(re.finditer(r"\S+", text))
    joined = " ".join(word[0] for word in words)
    for pattern, better in PHRASES.items():
        for match in re.finditer(pattern, joined, re.IGNORECASE):
            word = words[joined.count(" ", 0, match.start())]
            yield text.count("\n", 0, word.start()), match[0], better


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The engine for whom\nit is.", ["whom"]),
        ("x.onnx is no ONNX\n    model", ["is no ONNX model"]),
        ("'a' is no setting of Lexer's", ["is no setting", "is no setting of"]),
        ("There\n  is no setting for it; it is no longer there.", []),
        ("Amend the recommended file.", []),
    ],
)
def test_a_phrase_is_found_across_lines(text, found):
    assert [phrase for _, phrase, _ in phrases_in(text)] == found


def test_texts_are_idiomatic():
    found = [
        f"{path.relative_to(ROOT)}:{first + line}: {phrase!r}, better: {better}"
        for path in read_files()
        for first, text in texts_of(path)
        for line, phrase, better in phrases_in(text)
    ]

    assert not found, "\n".join(["unidiomatic phrases:", *found])
