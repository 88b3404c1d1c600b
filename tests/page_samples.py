"""Reports with raw samples that were not measured, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from report_samples import a_comparison, a_failed_row, a_report, a_row

from lexer_core.results import (
    BenchmarkResult,
    Environment,
    Interval,
    Profile,
    ProfilePart,
    ReferenceWorkloadTimes,
)

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"&$x^2$"


def a_sampled_row(
    label: str = "torch",
    engine: str = "Torch",
    centre_ms: float = 19.0,
    *,
    rounds: int = 30,
    per_round: int = 10,
    launches: int = 1,
    warm_up: int = 60,
    seed: int = 0,
    **facts: Any,
) -> BenchmarkResult:
    """A measured row with lognormal samples, one of them ten times as slow."""
    rng = np.random.default_rng(seed)
    count = rounds * per_round * launches
    samples = centre_ms / 1000 * rng.lognormal(0.0, 0.05, count)
    samples[count // 2] *= 10
    ms = samples * 1000
    p50, p90, p95, p99 = np.percentile(ms, (50, 90, 95, 99)).tolist()
    row = a_row(
        label,
        engine,
        p50,
        num_samples=count,
        mean_ms=float(ms.mean()),
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        min_ms=float(ms.min()),
        max_ms=float(ms.max()),
        intervals={"p50_ms": Interval(estimate=p50, low=p50 * 0.98, high=p50 * 1.02)},
        diagnosis={"drift": 0.012, "sample_autocorrelation": 0.31},
        rounds=rounds * launches,
        launches=launches,
        **facts,
    )
    return attrs.evolve(
        row,
        samples=samples,
        sample_rounds=np.repeat(np.arange(rounds * launches), per_round),
        sample_launches=np.repeat(np.arange(launches), rounds * per_round),
        warm_up_samples=centre_ms / 500 * rng.lognormal(0.0, 0.2, warm_up * launches),
        warm_up_launches=np.repeat(np.arange(launches), warm_up),
    )


def a_sampled_report(**facts: Any) -> BenchmarkReport:
    """A report of two engines that were measured and one that failed."""
    rows = [
        a_sampled_row(rank=2, model_bytes=18 * 2**20),
        a_sampled_row(
            "onnxruntime",
            "ONNXRuntime",
            6.0,
            seed=1,
            rank=1,
            export_ms=8200.0,
            break_even_calls=412.6,
            notes_on_percentiles={"p99_ms": "insufficient: 54 effective samples, 368 needed"},
            warnings=["samples are autocorrelated (0.31)"],
        ),
        a_failed_row(),
    ]
    values: dict[str, Any] = {
        "comparisons": [a_comparison(ratio=(3.0, 3.2, 3.4))],
        "environment": Environment(
            cpu_model="EPYC", cores_usable=2, packages={"numpy": "2.4.6"}, memory_bytes=2**34
        ),
        "settings": {"margin": 0.02, "threads": 2, "max_seconds": 60.0, "engines": None},
        "seed": 7,
        "created_at": "2026-01-02T03:04:05+00:00",
        "seconds": {"export": 6.1, "rounds": 12.0},
    }
    return a_report(*rows, **values | facts)


def a_canary(rounds: int = 30) -> ReferenceWorkloadTimes:
    """Times of the reference workload in the rounds of a report."""
    rng = np.random.default_rng(5)
    samples = 0.001 * rng.lognormal(0.0, 0.02, rounds)
    return ReferenceWorkloadTimes(
        launch_medians=(float(np.median(samples)),),
        samples=samples,
        sample_rounds=np.arange(rounds),
        sample_launches=np.zeros(rounds, dtype=int),
    )


def a_profile(*modules: str, operator: str = "Conv") -> Profile:
    """A profile whose modules take the same time each; the last part is not attributed."""
    share = 1 / (len(modules) + 1)
    parts = [ProfilePart(module=each, operator=operator, share=share) for each in (*modules, None)]
    return Profile(status="modules", calls=10, parts=parts)


def a_profiled_report() -> BenchmarkReport:
    """A report of two engines that were profiled, and one that cannot be."""
    layers = [f"encoder.layers.{at}.attention" for at in range(16)]
    unknown = Profile(status="not_available", reason="the engine cannot tell")
    return a_report(
        a_sampled_row(profile=a_profile("stem", *layers, "head")),
        a_sampled_row("ort", "ONNXRuntime", 6.0, profile=a_profile("stem", *layers[:8], "")),
        a_sampled_row("tvm", "TVM", 7.0, profile=unknown),
    )


def a_hostile_report() -> BenchmarkReport:
    """A report in which every text contains markup and control characters."""
    text = f"{HOSTILE}\x1b[31m\u202e"
    profile = a_profile(text, operator=text)
    row = a_sampled_row(
        text, f"engine {text}", device=text, warnings=[text], options={text: text}, profile=profile
    )
    failed = a_failed_row(f"failed {text}", f"broken {text}")
    assert failed.error is not None
    failed = attrs.evolve(
        failed, error=attrs.evolve(failed.error, reason=text, hint=text, log=f"{text}\nline 2")
    )
    return a_report(
        row,
        failed,
        sentences=[text],
        notes=[text],
        model_name=text,
        command=text,
        settings={text: text},
        environment=Environment(cpu_model=text, packages={text: text}),
        created_at=text,
        stopped_because=text,
    )


# Elements that have no end tag.
_VOID = {"meta", "link", "br", "img", "input", "hr"}


@attrs.define(eq=False)
class Element:
    """A tag of a page, with its attributes, children and parent."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    children: list[Element | str] = attrs.field(factory=list)

    @property
    def text(self) -> str:
        """All text in it, with white space collapsed."""
        parts = [each if isinstance(each, str) else each.text for each in self.children]
        return " ".join(" ".join(parts).split())

    def all(self, *tags: str) -> list[Element]:
        """Return the elements in it with these tags, in order; all if no tags are given."""
        found = []
        for each in self.children:
            if isinstance(each, Element):
                if not tags or each.tag in tags:
                    found.append(each)
                found += each.all(*tags)
        return found

    def by_id(self, name: str) -> Element:
        """The element of that id."""
        (found,) = [each for each in self.all() if each.attributes.get("id") == name]
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.at = Element("", {}, None)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        element = self._add(tag, attributes)
        if tag not in _VOID:
            self.at = element

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self._add(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> ends <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)

    def _add(self, tag: str, attributes: Any) -> Element:
        element = Element(tag, {name: value or "" for name, value in attributes}, self.at)
        self.at.children.append(element)
        return element


def read_page(html: str) -> Element:
    """Parse a page, whose elements must all be closed in order."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.at is reader.root, f"<{reader.at.tag}> is not closed"
    return reader.root


def cells_of(page: Element) -> dict[str, list[list[str]]]:
    """Return the rows of every table by its caption, headings first."""
    tables = {}
    for table in page.all("table"):
        captions = table.all("caption")
        caption = captions[0].text if captions else ""
        tables[caption] = [[cell.text for cell in row.all("th", "td")] for row in table.all("tr")]
    return tables
