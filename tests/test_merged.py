"""Runs of many machines in one table and one file."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import os
import zipfile

import attrs
import numpy as np
import pytest
from artifact_samples import a_whole_report, changed, entries_of
from hypothesis import given
from hypothesis import strategies as st
from report_samples import DIFFERS, a_comparison, a_failed_row, a_row
from saved_runs import a_run

import lexer_core
from lexer_core import artifact, merge
from lexer_core.artifact import archive
from lexer_core.cli import main as command
from lexer_core.errors import ArtifactError, LexerError, UsageError
from lexer_core.merged import MergedRuns
from lexer_core.records import TensorSpec
from lexer_core.results.tuning import Tuning, TuningConfiguration

ARM = {"cpu_model": "Neoverse-N1", "machine": "aarch64", "cores_usable": 4.0}
GIB = 2**30


def a_small_run(seed=0, **facts):
    """A run with a few samples; the seed makes it a run of its own."""
    return a_run(np.random.default_rng(seed), launches=1, rounds=2, **facts)


def rows_of(merged):
    return {(row.machine, row.case): row for row in merged.rows}


def names_of(merged):
    return [machine.name for machine in merged.machines]


def saved(report, path):
    return str(artifact.save(report, path))


def run(capsys, *arguments):
    status = command.run(list(map(str, arguments)))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    saved(a_small_run(1), tmp_path / "x86.lexer")
    saved(a_small_run(2, seconds={"torch": 0.04}, environment=ARM), tmp_path / "arm.lexer")
    return tmp_path


# --- The table. ---


def test_a_machine_is_named_by_its_hardware():
    merged = merge([a_small_run(1), a_small_run(2, environment=ARM)])

    assert names_of(merged) == ["2-core AMD EPYC 7763", "4-core Neoverse-N1"]


def test_the_noise_of_a_processors_name_is_left_out():
    noisy = {"cpu_model": "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", "gpus": ["T4", "T4"]}

    assert names_of(merge([a_small_run(environment=noisy)])) == [
        "2-core Intel Xeon Gold 6248 + 2x T4"
    ]


@pytest.mark.parametrize("unknown", ["", "aarch64", "arm"])
def test_a_machine_without_a_known_processor_is_named_by_its_run(tmp_path, unknown):
    environment = {**ARM, "cpu_model": unknown}
    paths = [
        saved(a_small_run(seed, environment=environment), tmp_path / f"{name}.lexer")
        for seed, name in enumerate(["phone", "tablet"])
    ]

    merged = merge(paths)

    assert names_of(merged) == ["phone", "tablet"]
    assert "no verdict between them" in merged.to_text(width=200)


def test_the_name_of_the_host_is_nowhere(here, capsys):
    merged = merge(["x86.lexer"])
    merged.save("fleet.lexer")

    assert os.uname().nodename not in merged.to_json()
    assert os.uname().nodename not in entries_of(here / "fleet.lexer")["merged.json"].decode()


def test_runs_of_equal_hardware_are_of_one_machine():
    more = {"memory_bytes": 16 * GIB}
    other = {"memory_bytes": int(15.9 * GIB)}

    merged = merge([a_small_run(1, environment=more), a_small_run(2, environment=other)])

    assert len(merged.machines) == 1
    assert merged.machines[0].runs == ("AmazingNet", "AmazingNet (2)")
    assert "has 2 runs; for a verdict, compare the runs: lexer compare" in merged.to_text(width=200)


@pytest.mark.parametrize(
    "other",
    [{"cores_usable": 8.0}, {"cpu_model": "AMD EPYC 9654"}, {"gpus": ["H100"]}],
)
def test_machines_of_one_name_and_other_hardware_are_told_apart(here, other):
    paths = ["x86.lexer", saved(a_small_run(3, environment=other), here / "other.lexer")]

    merged = merge(paths, names={"x86": "box", "other": "box"})

    assert names_of(merged) == ["box", "box (2)"]
    assert "the name 'box' was used for different hardware" in merged.notes[0]


def test_machines_with_much_more_memory_are_other_machines():
    merged = merge([a_small_run(at, environment={"memory_bytes": at * 16 * GIB}) for at in (1, 2)])

    assert names_of(merged) == ["2-core AMD EPYC 7763", "2-core AMD EPYC 7763 (2)"]


def test_the_machine_with_the_most_items_per_second_comes_first(here):
    merged = merge(["arm.lexer", "x86.lexer"])

    assert merged.groups[0].machines == ("2-core AMD EPYC 7763", "4-core Neoverse-N1")
    assert "Most items per second: 2-core AMD EPYC 7763 with Torch" in merged.to_text(width=200)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ((100.0, 90.0), "Most items per second: a with Torch, 100."),
        (
            (100.0, 99.0),
            "Most items per second, less than 5% apart: a with Torch, 100; b with Torch, 99.0.",
        ),
    ],
)
def test_machines_that_are_close_are_named_together(rates, said):
    runs = [
        attrs.evolve(
            a_small_run(environment={"cores_usable": float(at + 1)}),
            results=[a_row(throughput_per_sec=rate)],
        )
        for at, rate in enumerate(rates)
    ]
    names = {"1-core AMD EPYC 7763": "a", "2-core AMD EPYC 7763": "b"}

    merged = merge(runs, names=names)

    assert merged.groups[0].sentences[0] == said


def test_the_best_case_of_a_machine_is_the_first_of_its_run():
    rows = [
        a_row(rank=2),
        a_row("onnxruntime", "ONNXRuntime", 9.9, rank=1),
        a_row("wrong", "Wrong", 1.0, parity=DIFFERS),
        a_row("odd", "Odd", 2.0, withheld="its samples add up to less than they should"),
        a_failed_row(),
    ]
    (row,) = merge([attrs.evolve(a_small_run(), results=rows)]).best

    assert (row.case, row.is_tied) == ("ONNXRuntime", False)


def test_cases_that_a_run_cannot_tell_apart_are_both_the_best():
    rows = [a_row(rank=1), a_row("other", "Other", 39.0, rank=1), a_row("slow", "Slow", 80, rank=3)]

    merged = merge([attrs.evolve(a_small_run(), results=rows)])

    assert [row.is_tied for row in merged.rows] == [True, True, False]
    assert len(merged.best) == 1
    assert "✓=" in str(merged)


def test_the_best_case_is_above_one_with_more_items_per_second():
    """A rank is of the typical round; items per second include what disturbed a round."""
    rows = [
        a_row(rank=2, throughput_per_sec=90.0),
        a_row("b", "B", rank=1, throughput_per_sec=80.0),
    ]

    merged = merge([attrs.evolve(a_small_run(), results=rows)])

    assert [row.case for row in merged.rows] == ["B", "Torch"]


@pytest.mark.parametrize(("rates", "best"), [((80, 100, 90), 90), ((80, 100), 80)])
def test_of_several_runs_of_a_case_the_one_in_the_middle_counts(rates, best):
    runs = [
        attrs.evolve(a_small_run(at), results=[a_row(throughput_per_sec=rate)])
        for at, rate in enumerate(rates)
    ]

    (row,) = merge(runs).best

    assert row.items_per_sec == best


def test_a_single_case_without_a_rank_is_the_best():
    (row,) = merge([attrs.evolve(a_small_run(), results=[a_row(rank=None)])]).best

    assert row.is_best


def test_a_machine_without_a_valid_case_has_no_best_and_a_reason():
    rows = [a_row(withheld="the quota was exhausted")]

    merged = merge([attrs.evolve(a_small_run(), results=rows)])

    assert merged.best == ()
    assert "no case is marked as the best" in str(merged)
    assert "the quota was exhausted" in str(merged)


@pytest.mark.parametrize(
    ("threads", "device", "cores"),
    [(1, "cpu", 1.0), (2, "cpu", 2.0), (8, "cpu", 2.0), (None, "cpu", 2.0), (2, "cuda:0", None)],
)
def test_items_per_core_are_of_the_cores_that_a_call_may_use(threads, device, cores):
    result = a_row(threads=threads, device_name=device, throughput_per_sec=100.0)

    (row,) = merge([attrs.evolve(a_small_run(), results=[result])]).rows

    assert row.cores == cores
    assert row.items_per_sec_per_core == (None if cores is None else 100.0 / cores)


def test_what_failed_is_listed_with_its_machine():
    merged = merge([attrs.evolve(a_small_run(), results=[a_row(), a_failed_row()])])

    text = merged.to_text(width=120)
    assert "2-core AMD EPYC 7763: TVM failed while loading the model" in text
    assert rows_of(merged)["2-core AMD EPYC 7763", "TVM"].items_per_sec is None


def test_of_a_tuning_only_the_best_configurations_are_listed():
    rows = [a_row("a"), a_row("b", p50=20.0), a_row("c", p50=90.0)]
    fates = {"a": "tie", "b": "winner", "c": "slower"}
    tuning = Tuning(
        goals=["minimize p50"],
        configurations=[
            TuningConfiguration(label=label, engine="torch", fate=fate)
            for label, fate in fates.items()
        ],
    )

    merged = merge([attrs.evolve(a_small_run(), results=rows, tuning=tuning)])

    assert [(row.case, row.is_best) for row in merged.rows] == [("b", True), ("a", True)]


@pytest.mark.parametrize("fate", ["failed", "over_limit"])
def test_a_tuning_without_a_winner_is_listed_without_a_best_case_and_says_why(fate):
    row = a_failed_row("a") if fate == "failed" else a_row("a")
    tuning = Tuning(
        goals=["minimize p50"],
        configurations=[TuningConfiguration(label="a", engine="torch", fate=fate)],
    )
    run = attrs.evolve(
        a_small_run(), results=[row], tuning=tuning, sentences=["Nothing meets p99<=1ms."]
    )

    merged = merge([run])

    assert [(row.result.label, row.is_best) for row in merged.rows] == [("a", False)]
    text = " ".join(merged.to_text(width=200).split())
    assert "no case is marked as the best of 2-core AMD EPYC 7763: Nothing meets p99<=1ms" in text


# --- Prices. ---


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ("0.36/h", "10.0"),
        ("$0.36/h", "$10.0"),
        ("0.36 EUR/h", "10.0 EUR"),
        ("€ 0.36/h", "€10.0"),
        ("0/h", "0"),
    ],
)
def test_a_price_gives_the_cost_of_a_million_items(price, shown):
    run = attrs.evolve(a_small_run(), results=[a_row(throughput_per_sec=10.0)])

    merged = merge([run], names={"AmazingNet": "box"}, prices={"box": price})

    assert merged.rows[0].cost_per_million == pytest.approx(float(shown.strip("$€ EUR")))
    assert f" {shown} " in merged.to_text(width=100)


@pytest.mark.parametrize(
    "price", ["", "2.50", "-1/h", "1e5/h", "$2.50 EUR/h", "2.5/month", "x" * 20 + "1/h", "1,5/h"]
)
def test_another_price_is_refused(price):
    with pytest.raises(UsageError, match="is not a price per hour"):
        merge([a_small_run()], names={"AmazingNet": "box"}, prices={"box": price})


def test_prices_are_kept_and_can_be_changed(here):
    names = {"x86": "fast", "arm": "cheap"}
    merge(["x86.lexer", "arm.lexer"], names=names, prices={"cheap": "1/h"}).save("fleet.lexer")

    kept = lexer_core.load("fleet.lexer")
    changed_prices = merge(["fleet.lexer"], prices={"cheap": "2/h"})

    assert [machine.price and machine.price.text for machine in kept.machines] == [None, "1/h"]
    assert changed_prices.machines[1].price.text == "2/h"
    assert "no price is known for fast" in kept.to_text(width=200)


def test_a_renamed_machine_keeps_its_price(here):
    merge(["x86.lexer"], names={"x86": "box"}, prices={"box": "1/h"}).save("fleet.lexer")

    (machine,) = merge(["fleet.lexer"], names={"box": "server"}).machines

    assert (machine.name, machine.price.text) == ("server", "1/h")


def test_the_cheapest_machine_is_named_unless_currencies_differ(here):
    names = {"x86": "fast", "arm": "cheap"}
    both = ["x86.lexer", "arm.lexer"]

    one = merge(both, names=names, prices={"fast": "$9/h", "cheap": "$1/h"})
    two = merge(both, names=names, prices={"fast": "$9/h", "cheap": "1 EUR/h"})

    assert "Lowest cost per million items: cheap with Torch, $" in str(one)
    assert "Lowest cost" not in str(two)
    assert "different currencies" in str(two)


# --- What is not mixed. ---


def groups_of(*facts):
    """Merge runs of several machines; returns the titles and notes of the groups."""
    runs = [
        a_small_run(at, **{"environment": {"cores_usable": 2.0 + at}, **each})
        for at, each in enumerate(facts)
    ]
    merged = merge(runs)
    return [group.title for group in merged.groups], " ".join(
        note for group in merged.groups for note in group.notes
    )


def test_other_models_and_other_inputs_have_their_own_tables():
    wide = [TensorSpec(name="image", dtype="float32", shape=(8, 3, 224, 224))]

    titles, _ = groups_of({}, {"model_name": "Other"}, {"input_specs": wide})

    assert [title.split(" · ")[0] for title in titles] == ["AmazingNet", "Other", "AmazingNet"]
    assert "[8, 3, 224, 224]" in titles[2]


def test_other_code_under_the_same_name_has_its_own_table():
    titles, _ = groups_of({}, {"model_fingerprint": {"graph": "e" * 32}})

    assert [title.rsplit(" · ", 1)[1] for title in titles] == ["code bbbbbbbb", "code eeeeeeee"]


def test_digests_of_code_of_other_versions_are_a_note():
    titles, notes = groups_of(
        {},
        {
            "model_fingerprint": {"graph": "e" * 32},
            "environment": {"cores_usable": 8.0, "python": "3.12.1 (CPython)"},
        },
    )

    assert len(titles) == 1
    assert "not known whether the code of the model is the same" in notes


def test_other_files_have_their_own_tables_whatever_the_versions():
    other = {"cores_usable": 8.0, "python": "3.12.1 (CPython)"}

    titles, _ = groups_of(
        {"model_fingerprint": {"file": "1" * 32}},
        {"model_fingerprint": {"file": "2" * 32}, "environment": other},
    )

    assert len(titles) == 2


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"model_fingerprint": {"weights": "d" * 32, "graph": "b" * 32}}, "weights of the model"),
        ({"model_fingerprint": {}}, "some have no fingerprint"),
        ({"rows": {"torch": {"engine_version": "2.9"}}}, "different versions of Torch: 2.13 on"),
        ({"rows": {"torch": {"precision": "float16"}}}, "different precisions"),
        ({"rows": {"torch": {"isolation": "none"}}}, "different isolation"),
        ({"rows": {"torch": {"batch_size": 8}}}, "different items per call"),
    ],
)
def test_what_else_differs_is_said(other, said):
    one = {"rows": {"torch": {"engine_version": "2.13"}}}

    titles, notes = groups_of(one, {**one, **other})

    assert len(titles) == 1
    assert said in notes


def test_equal_conditions_need_no_notes():
    merged = merge([a_small_run(1), a_small_run(2, environment=ARM)])

    assert merged.groups[0].notes == ()


def test_a_noisy_machine_is_named():
    noisy = {"torch": {"diagnosis": {"steal_share": 0.2}}}

    _, notes = groups_of({}, {"rows": noisy})

    assert "3-core AMD EPYC 7763: noisy machine: other virtual machines took 20%" in notes


def test_many_machines_do_not_make_many_notes():
    noisy = {"torch": {"diagnosis": {"steal_share": 0.2}}}
    runs = [
        a_small_run(at, rows=noisy, environment={"cores_usable": float(at // 2 + 1)})
        for at in range(10)
    ]

    notes = merge(runs).groups[0].notes

    assert len(notes) == 2
    assert notes[0].startswith("10 runs were on noisy machines: 1-core AMD EPYC 7763 (Amaz")
    assert notes[1].endswith("4 more machines have runs that can be compared like this")


def test_there_is_no_verdict_between_machines_of_other_hardware():
    merged = merge([a_small_run(1), a_small_run(2, environment=ARM)])

    text = merged.to_text(width=200)
    assert "there is no verdict between them" in text
    assert "faster" not in text
    assert "lexer compare" not in text


def test_machines_of_equal_hardware_are_sent_to_lexer_compare(here):
    saved(a_small_run(5), here / "second box.lexer")

    merged = merge(["x86.lexer", "second box.lexer"], names={"x86": "a", "second box": "b"})

    said = "a, b have equal hardware; for a verdict, compare the runs: lexer compare x86.lexer"
    assert f"{said} 'second box.lexer'" in merged.to_text(width=200)
    assert "no verdict between them" not in merged.to_text(width=200)


def test_runs_without_a_common_case_are_not_sent_to_lexer_compare():
    other = a_small_run(2, rows={"torch": {"threads": 1}})

    merged = merge([a_small_run(1), other], names={"AmazingNet": "a"})

    assert "lexer compare" not in merged.to_text(width=200)


# --- The same run twice. ---


def test_the_same_run_is_listed_once(here):
    report = artifact.load("x86.lexer")
    report.to_json("x86.json")

    merged = merge(["x86.json", "x86.lexer", "x86.lexer"])

    assert len(merged) == 1
    assert merged.runs[0].report["torch"].samples is not None
    assert "x86.lexer is the same run as x86.json and is listed once" in merged.notes


def test_merging_merged_runs_adds_what_is_new(here):
    merge(["x86.lexer"], names={"x86": "box"}).save("fleet.lexer")

    merged = merge(["fleet.lexer", "x86.lexer", "arm.lexer"])

    assert [(run.name, run.machine) for run in merged] == [
        ("x86", "box"),
        ("arm", "4-core Neoverse-N1"),
    ]


def test_merged_runs_can_be_merged_with_others_in_python(here):
    merged = merge("x86.lexer", names={"x86": "box"}, prices={"box": "1/h"})

    more = merge([merged, artifact.load("arm.lexer")])

    assert [run.machine for run in more] == ["box", "4-core Neoverse-N1"]
    assert more.machines[0].price.text == "1/h"


def test_runs_of_one_file_name_are_named_by_their_folders(tmp_path):
    for seed, name in enumerate(["laptop", "server"]):
        (tmp_path / name).mkdir()
        saved(a_small_run(seed), tmp_path / name / "run.lexer")

    merged = merge([tmp_path], names={"laptop/run": "mine"})

    assert [run.name for run in merged] == ["laptop/run", "server/run"]
    assert names_of(merged) == ["mine", "2-core AMD EPYC 7763"]


# --- The file. ---


def test_every_run_is_kept_whole(tmp_path):
    report = a_whole_report(tmp_path / "model")
    path = artifact.save(report, tmp_path / "run.lexer")
    merge([path]).save(tmp_path / "fleet.lexer")
    path.unlink()

    kept = lexer_core.load(tmp_path / "fleet.lexer")["run"].report

    assert kept == report
    assert np.array_equal(kept.results[0].samples, report.results[0].samples)
    assert [file.read_bytes() for file in kept.models[0].files] == [
        file.read_bytes() for file in report.models[0].files
    ]


def test_the_runs_in_the_file_are_the_bytes_of_their_files(here):
    merge(["x86.lexer", "arm.lexer"]).save("fleet.lexer")

    entries = entries_of(here / "fleet.lexer")

    assert list(entries) == ["merged.json", "runs/1-x86.lexer", "runs/2-arm.lexer"]
    assert entries["runs/1-x86.lexer"] == (here / "x86.lexer").read_bytes()


def test_merging_the_same_runs_gives_the_same_bytes(here):
    for name in ("one.lexer", "two.lexer"):
        merge(["x86.lexer", "arm.lexer"]).save(name)

    assert (here / "one.lexer").read_bytes() == (here / "two.lexer").read_bytes()


def test_a_report_that_was_never_saved_is_kept(tmp_path):
    merge([a_small_run()]).save(tmp_path / "fleet.lexer")

    assert lexer_core.load(tmp_path / "fleet.lexer")["AmazingNet"].report["torch"].samples.size


def test_a_run_that_changed_after_it_was_read_is_not_saved(here):
    merged = merge(["x86.lexer"])
    (here / "x86.lexer").write_bytes((here / "arm.lexer").read_bytes())
    (here / "fleet.lexer").write_bytes(b"as before")

    with pytest.raises(ArtifactError, match="was changed after it was read"):
        merged.save("fleet.lexer")

    assert (here / "fleet.lexer").read_bytes() == b"as before"
    assert not list(here.glob(".lexer-*"))


@pytest.mark.parametrize("reader", [artifact.load, lambda path: lexer_core.compare(path, path)])
def test_what_needs_a_single_run_says_how_to_get_one(here, reader):
    merge(["x86.lexer"]).save("fleet.lexer")

    with pytest.raises(
        UsageError, match=r"contains merged runs, but a single run is needed"
    ) as why:
        reader("fleet.lexer")

    assert "lexer show fleet.lexer --run NAME" in str(why.value)


def test_the_json_of_a_table_is_not_read_as_a_run(here):
    merge(["x86.lexer"]).to_json("table.json")

    with pytest.raises(ArtifactError, match="the runs cannot be restored"):
        lexer_core.load("table.json")


# --- Files that are not trusted. ---


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    runs = [a_small_run(1), a_small_run(2, environment=ARM)]
    merged = merge(runs, names={"AmazingNet": "box"}, prices={"box": "$1/h"})
    return merged.save(folder / "fleet.lexer").read_bytes()


@pytest.fixture
def fleet(original, tmp_path):
    path = tmp_path / "fleet.lexer"
    path.write_bytes(original)
    return path


def stored(entries):
    """Zip entries as Lexer does, without compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        for name, content in entries.items():
            target.writestr(name, content)
    return file.getvalue()


def edited(path, edit):
    entries = entries_of(path)
    data = json.loads(entries["merged.json"])
    edit(data)
    path.write_bytes(stored({**entries, "merged.json": json.dumps(data).encode()}))
    return path


def refused(path, said):
    with pytest.raises(ArtifactError) as caught:
        lexer_core.load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_damaged_run_is_named_and_the_others_can_be_kept(fleet):
    entries = entries_of(fleet)
    name = "runs/1-AmazingNet.lexer"
    entries[name] = entries[name][:-1] + b"x"
    fleet.write_bytes(stored(entries))

    refused(fleet, f"{name!r} in")
    refused(fleet, "lexer merge")
    rescued = merge([fleet], skip_damaged=True)

    assert [run.name for run in rescued] == ["AmazingNet (2)"]
    assert len(rescued.problems) == 1


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda data: data.update(schema_version=2), "Install a newer lexer-core"),
        (lambda data: data.update(runs=[]), "it lists no runs"),
        (lambda data: data["runs"][0].update(file="merged.json"), "there is no run"),
        (lambda data: data["runs"][0].update(file="runs/../x"), "there is no run"),
        (lambda data: data["runs"].append(data["runs"][0]), "there is no run"),
        (lambda data: data["runs"][0].update(name="AmazingNet (2)"), "not a name of one run"),
        (lambda data: data["runs"][0].update(name="\x1b[2J"), "not a name of one run"),
        (lambda data: data["runs"][0].update(machine="x" * 101), "is not a name"),
        (lambda data: data["runs"][0].update(sha256="0" * 64), "its checksum is wrong"),
        (lambda data: data["runs"][0].update(sha256="no"), "not a SHA-256 checksum"),
        (lambda data: data["runs"][0].update(price="free"), "is not a price per hour"),
        (lambda data: data["runs"][0].pop("name"), "is missing"),
    ],
)
def test_an_invalid_list_is_refused(fleet, edit, said):
    refused(edited(fleet, edit), said)


def test_compressed_runs_are_refused(fleet):
    """What they unpack to would not be limited by the size of the file."""
    refused(changed(fleet, "more.txt", b""), "must not be compressed")


def test_merged_runs_inside_merged_runs_are_refused(fleet, original):
    import hashlib

    entries = entries_of(fleet)
    run = {"file": "runs/1.lexer", "sha256": hashlib.sha256(original).hexdigest(), "name": "a"}
    listed = json.dumps({"schema_version": 1, "runs": [run]}).encode()
    entries = {"merged.json": listed, "runs/1.lexer": original}
    fleet.write_bytes(stored(entries))

    refused(fleet, "contains merged runs")


def test_runs_may_not_unpack_to_more_than_the_file_allows_together(fleet, monkeypatch):
    monkeypatch.setattr(archive, "_FREE_BYTES", 4 * 2**20)
    runs = []
    for seed in range(3):
        run = a_small_run(seed)
        logged = attrs.evolve(run.results[0], log=" " * (3 * 2**20))
        path = fleet.with_name(f"{seed}.lexer")
        runs.append(saved(attrs.evolve(run, results=[logged]), path))
        assert artifact.load(path)["torch"].log
    merge(runs).save(fleet)

    refused(fleet, "zip bomb")


def test_entries_that_share_their_bytes_are_refused(fleet):
    """A small file could list one run a thousand times."""
    entries = entries_of(fleet)
    first = json.loads(entries["merged.json"])["runs"][0]
    again = {**first, "file": "runs/again.lexer", "name": "again"}
    listed = json.dumps({"schema_version": 1, "runs": [first, again]})
    with zipfile.ZipFile(fleet, "w") as target:
        target.writestr("merged.json", listed)
        target.writestr(first["file"], entries[first["file"]])
        second = copy.copy(target.getinfo(first["file"]))
        second.filename = second.orig_filename = again["file"]
        target.filelist.append(second)

    refused(fleet, "larger than the file itself")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(fleet, part):
    content = fleet.read_bytes()
    fleet.write_bytes(content[: int(len(content) * part)])

    refused(fleet, "damaged")


def read_or_refuse(content, folder):
    """Merge and print it; only a LexerError may be raised."""
    path = folder / "fleet.lexer"
    path.write_bytes(content)
    before = sorted(folder.parent.iterdir())
    with contextlib.suppress(LexerError):
        merged = merge([path], skip_damaged=True)
        assert all(sign.isprintable() or sign == "\n" for sign in merged.to_text())
        merged.to_json()
        artifact.contents(path)
    assert [file.name for file in folder.iterdir()] == ["fleet.lexer"]
    assert sorted(folder.parent.iterdir()) == before


@given(data=st.data())
def test_a_file_with_damaged_bytes_is_read_or_refused(original, tmp_path, data):
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        else:
            content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))

    read_or_refuse(bytes(content), tmp_path)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["runs/1-AmazingNet.lexer", "$1/h", "../x", "box", "0" * 64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(data=st.data())
def test_a_list_with_other_values_is_read_or_refused(original, tmp_path, data):
    with zipfile.ZipFile(io.BytesIO(original)) as source:
        entries = {name: source.read(name) for name in source.namelist()}
    listed = json.loads(entries["merged.json"])
    place = data.draw(st.sampled_from([listed, *listed["runs"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(ANYTHING)
    entries["merged.json"] = json.dumps(listed).encode()

    read_or_refuse(stored(entries), tmp_path)


# --- As data. ---


def test_the_csv_has_the_machine_first(here):
    merged = merge(["x86.lexer", "arm.lexer"], names={"x86": "=cmd"}, prices={"=cmd": "1/h"})

    lines = list(csv.DictReader(io.StringIO(merged.to_csv("fleet.csv"))))

    assert [line["machine"] for line in lines] == ["'=cmd", "4-core Neoverse-N1"]
    assert [line["is_best"] for line in lines] == ["true", "true"]
    assert float(lines[0]["cost_per_million"]) == merged.rows[0].cost_per_million
    assert lines[0]["p50_ms"]


def test_the_json_has_machines_runs_and_rows(here):
    data = json.loads(merge(["x86.lexer", "arm.lexer"]).to_json())

    (group,) = data["groups"]
    assert [machine["runs"] for machine in data["machines"]] == [["x86"], ["arm"]]
    assert [row["run"] for row in group["rows"]] == ["x86", "arm"]
    assert group["rows"][0]["result"]["p50_ms"] > 0


@pytest.mark.extras
def test_a_dataframe_has_the_columns_of_the_csv(here):
    pytest.importorskip("pandas")
    merged = merge(["x86.lexer", "arm.lexer"])

    frame = merged.to_dataframe()

    assert list(frame.columns) == next(csv.reader(io.StringIO(merged.to_csv())))
    assert frame["cost_per_million"].dtype == "float64"


def test_markdown_names_the_machine_in_every_row():
    rows = [a_row(), a_row("other", "Other", 50.0)]
    run = attrs.evolve(a_small_run(), results=rows, comparisons=[a_comparison(b="other")])

    lines = merge([run], names={"AmazingNet": "box|1"}).to_markdown().splitlines()

    assert sum(line.startswith(r"| box\|1 |") for line in lines) == 3


def test_rows_can_be_read_by_machine(here):
    merged = merge(["x86.lexer", "arm.lexer"], names={"x86": "box"})

    assert [row.run for row in merged.by_machine["box"]] == ["x86"]
    assert repr(merged) == "<MergedRuns: 2 runs of 2 machines>"
    with pytest.raises(KeyError, match="runs: x86, arm"):
        merged["nothing"]


# --- The command line. ---


def test_the_table_fits_80_columns(here, capsys):
    names = ("--name", "x86=fast", "--price", "fast=$0.40/h", "--name", "arm=cheap")

    status, out, err = run(capsys, "merge", "x86.lexer", "arm.lexer", *names)

    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "2 runs of 2 machines" in out


def test_the_file_is_shown_as_it_was_merged(here, capsys):
    _, merged, _ = run(capsys, "merge", "x86.lexer", "arm.lexer", "-o", "fleet.lexer")

    assert run(capsys, "show", "fleet.lexer") == (0, merged, "")
    status, listed, _ = run(capsys, "show", "fleet.lexer", "--contents")
    assert status == 0
    assert "the run arm" in listed


def test_a_run_can_be_taken_out(here, capsys):
    run(capsys, "merge", "x86.lexer", "arm.lexer", "-o", "fleet.lexer")

    status, out, _ = run(capsys, "show", "fleet.lexer", "--run", "arm", "-o", "again.lexer")

    assert status == 0
    assert "Neoverse-N1" in out
    assert artifact.load("again.lexer") == artifact.load("arm.lexer")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "fleet.lexer", "--run", "ram"], "Did you mean 'arm'?"),
        (["show", "x86.lexer", "--run", "x86"], "is a single run"),
        (["merge", "x86.lexer", "-o", "x86.lexer"], "would replace"),
        (["merge", "x86.lexer", "--name", "x68.lexer=box"], "no run and no machine is called"),
        (["merge", "x86.lexer", "--name", "x86.lexer"], "is not a pair"),
        (["merge", "x86.lexer", "--price", "box=1/h"], "no machine is called 'box'"),
        (["merge", "nothing.lexer"], "does not exist"),
        (["merge", "empty"], "has no .lexer files"),
        (["deploy", "fleet.lexer", "out"], "contains merged runs"),
    ],
)
def test_wrong_usage_is_explained(here, capsys, arguments, said):
    run(capsys, "merge", "x86.lexer", "arm.lexer", "-o", "fleet.lexer")
    (here / "empty").mkdir()

    status, _, err = run(capsys, *arguments)

    assert status == 2
    assert said in err


def test_a_damaged_file_is_named_and_the_others_are_merged(here, capsys):
    (here / "bad.lexer").write_bytes((here / "x86.lexer").read_bytes()[:-100])

    status, out, err = run(capsys, "merge", here, "-o", "fleet.lexer")

    assert status == 2
    assert "2 runs of 2 machines" in out
    assert "bad.lexer" in err
    assert "is damaged" in err
    assert len(lexer_core.load("fleet.lexer")) == 2


def test_a_damaged_file_may_have_a_name_and_a_price(here, capsys):
    (here / "bad.lexer").write_bytes(b"PK")
    options = ("--name", "bad.lexer=box", "--price", "box=1/h", "-o", "fleet.lexer")

    status, _, err = run(capsys, "merge", "x86.lexer", "bad.lexer", *options)

    assert status == 2
    assert "bad.lexer" in err
    assert len(lexer_core.load("fleet.lexer")) == 1


def test_a_damaged_merged_file_is_not_replaced_by_what_is_left_of_it(here, capsys):
    merge(["x86.lexer"]).save("fleet.lexer")
    damaged = (here / "fleet.lexer").read_bytes()[:-100]
    (here / "fleet.lexer").write_bytes(damaged)

    status, _, err = run(capsys, "merge", "fleet.lexer", "arm.lexer", "-o", "fleet.lexer")

    assert status == 2
    assert "would replace" in err
    assert (here / "fleet.lexer").read_bytes() == damaged


def test_runs_are_added_to_a_merged_file_in_place(here, capsys):
    run(capsys, "merge", "x86.lexer", "-o", "fleet.lexer")

    status, _, _ = run(capsys, "merge", "fleet.lexer", "arm.lexer", "-o", "fleet.lexer")

    assert status == 0
    assert isinstance(lexer_core.load("fleet.lexer"), MergedRuns)
    assert len(lexer_core.load("fleet.lexer")) == 2


# --- The page. ---


@pytest.mark.extras
def test_the_page_has_the_table_the_plots_and_every_run(here, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    names = ("--name", "x86=fast <b>", "--name", "arm=cheap", "--price", "cheap=$1/h")
    run(capsys, "merge", "x86.lexer", "arm.lexer", *names, "-o", "fleet.lexer")

    status, _, err = run(capsys, "report", "fleet.lexer", "-o", "fleet.html")

    page = (here / "fleet.html").read_text()
    assert (status, err) == (0, "")
    assert "<title>2 runs of 2 machines</title>" in page
    assert "fast &lt;b&gt;" in page
    assert "<b>" not in page
    for part in ("all-machines", "all-group1-rates", "all-group1-costs", "run1", "run2-latency"):
        assert f'id="{part}"' in page
    assert "<script" not in page


@pytest.mark.extras
def test_a_page_of_many_runs_has_only_the_tables():
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    runs = [a_small_run(at, environment={"cores_usable": float(at + 1)}) for at in range(21)]

    page = merge(runs).to_html()

    assert "<article" not in page
    assert page.count("21-core AMD EPYC 7763") > 1
    assert "lexer show fleet.lexer --run NAME" in page


@pytest.mark.extras
def test_a_merged_file_and_another_run_become_one_page(here, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    run(capsys, "merge", "x86.lexer", "-o", "fleet.lexer")

    status, _, _ = run(capsys, "report", "fleet.lexer", "arm.lexer", "-o", "both.html")

    assert status == 0
    assert "<title>2 runs of 2 machines</title>" in (here / "both.html").read_text()
