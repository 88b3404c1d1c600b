"""Wrong engines that were thought up before the checks that find them.

Each is the right engine of ``conformance_mutants`` with one fault, of the kinds that
benchmarks meet: answers kept, precision lost, work moved out of the clock, right only at
first, side effects, and untrue claims. Before there were these checks, the kit found 16 of
these 51.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from conformance_mutants import (
    FETCH,
    HEADER,
    INIT,
    PLACE,
    REFERENCE,
    REFUSE_PRECISION,
    RUN,
    SOUND,
    TIMED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class SlyMutant:
    """A wrong engine: its kind, its fault, and its source."""

    kind: str
    name: str
    text: str
    entry: str = ""
    declared: Mapping[str, object] = attrs.field(factory=dict)
    needs: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        return FOUND_BY[self.name]


def change(*pairs: tuple[str, str], source: str = REFERENCE) -> str:
    for old, new in pairs:
        assert source.count(old) == 1, (source.count(old), old)
        source = source.replace(old, new)
    return source


def with_run(body: str, *pairs: tuple[str, str]) -> str:
    return change((RUN, body), *pairs)


SHARED_MEMORY = Path("/dev/shm")
COMPUTE = "        outputs = self.compute(**placed)\n"
IMPORTS = (SOUND, "import os\nimport gc\nimport sys\nimport random\nimport threading\nKEPT = []\n")
COUNT = "        self.calls = getattr(self, 'calls', 0) + 1\n"
SUM = "float(sum(each.sum() for each in placed.values()))"


def in_list(expression: str) -> str:
    return (
        f"{COMPUTE}        import numpy as np\n        return [{expression} for each in outputs]\n"
    )


ANSWERS = {
    "keeps_answers_by_data_address": with_run(
        "        key = tuple(each.__array_interface__['data'][0] for each in placed.values())\n"
        "        self.known = getattr(self, 'known', {})\n"
        "        if key not in self.known:\n"
        "            self.known[key] = self.compute(**placed)\n"
        "        return self.known[key]\n"
    ),
    "keeps_answers_by_first_bytes": with_run(
        "        arrays = [each.tobytes() for each in placed.values()]\n"
        "        key = tuple(each[:4] + each[-4:] for each in arrays)\n"
        "        self.known = getattr(self, 'known', {})\n"
        "        if key not in self.known:\n"
        "            self.known[key] = self.compute(**placed)\n"
        "        return self.known[key]\n"
    ),
    "keeps_answers_by_their_sum": with_run(
        f"        key = ({SUM}, tuple(each.shape for each in placed.values()))\n"
        "        self.known = getattr(self, 'known', {})\n"
        "        if key not in self.known:\n"
        "            self.known[key] = self.compute(**placed)\n"
        "        return self.known[key]\n"
    ),
    "keeps_the_last_answer": with_run(
        "        if getattr(self, 'placed', None) is not placed:\n"
        "            self.placed, self.last = placed, self.compute(**placed)\n"
        "        return self.last\n"
    ),
    "keeps_placed_inputs_by_array": change(
        (
            PLACE,
            (
                "    key = tuple(id(array) for array in inputs.arrays.values())\n"
                "    known = session.__dict__.setdefault('known', {})\n"
                "    if key not in known:\n"
                "        copies = {name: inputs.arrays[name].copy() for name in session.inputs}\n"
                "        known[key] = (copies, list(inputs.arrays.values()))\n"
                "    return dict(known[key][0])\n"
            ),
        )
    ),
    "remembers_within_a_call_context": with_run(
        "        if self.inside is None:\n"
        "            return self.compute(**placed)\n"
        "        if id(placed) not in self.inside:\n"
        "            self.inside[id(placed)] = placed, self.compute(**placed)\n"
        "        return self.inside[id(placed)][1]\n"
        "\n"
        "    inside = None\n"
        "\n"
        "    def call_context(self):\n"
        "        from contextlib import contextmanager\n"
        "\n"
        "        @contextmanager\n"
        "        def remember():\n"
        "            self.inside = {}\n"
        "            yield\n"
        "            self.inside = None\n"
        "\n"
        "        return remember()\n"
    ),
}

PRECISION = {
    "computes_in_float16": with_run(
        in_list("each.astype('f2').astype('f4') if each.dtype == 'f4' else each")
    ),
    "truncates_to_bfloat16": with_run(
        in_list(
            "(np.ascontiguousarray(each).view('u4') & np.uint32(0xFFFF0000)).view('f4')"
            ".reshape(each.shape) if each.dtype == 'f4' else each"
        )
    ),
    "narrows_int64_to_int32": with_run(
        in_list("each.astype('i4').astype('i8') if each.dtype == 'i8' else each")
    ),
    "returns_int64_as_int32_when_small": with_run(
        in_list(
            "each.astype('i4') if each.dtype == 'i8' and abs(each).max(initial=0) < 2**31 else each"
        )
    ),
    "replaces_nan_by_zero": with_run(
        in_list(
            "np.nan_to_num(each, posinf=np.inf, neginf=-np.inf) if each.dtype.kind == 'f' else each"
        )
    ),
    "clips_to_six": with_run(in_list("np.clip(each, -1000, 1000) if each.dtype == 'f4' else each")),
    "flushes_small_values": with_run(
        in_list(
            "np.where(abs(each) < 1e-20, 0, each).astype(each.dtype) if each.dtype == 'f4' "
            "else each"
        )
    ),
}

CLOCK = {
    "computes_in_fetch": change(
        (RUN, "        return placed\n"),
        (FETCH, FETCH.replace("outputs, strict", "session.compute(**outputs), strict")),
    ),
    "computes_in_a_lazy_list": change(
        (RUN, "        return lambda: self.compute(**placed)\n"),
        (FETCH, FETCH.replace("outputs, strict", "outputs(), strict")),
    ),
    "computes_when_placing": change(
        (RUN, "        return placed\n"),
        (PLACE, PLACE.replace("return ", "return session.compute(**").rstrip("\n") + ")\n"),
    ),
    "computes_in_synchronize_of_the_block_before": change(
        (
            RUN,
            (
                "        return placed.__class__(placed) and self.lazy(placed)\n\n"
                "    def lazy(self, placed):\n"
                "        if not hasattr(self, 'done'):\n"
                "            self.done = {}\n"
                "        key = id(placed)\n"
                "        if key not in self.done:\n"
                "            self.done[key] = (placed, self.compute(**placed))\n"
                "        return self.done[key][1]\n"
            ),
        ),
    ),
    "runs_again_in_fetch": change(
        (RUN, "        self.again = placed\n" + RUN),
        (FETCH, "    session.compute(**session.again)\n" + FETCH),
    ),
    "computes_in_reset": change(
        (RUN, "        return self.kept\n"),
        source=REFERENCE + "\n\n@hookimpl\ndef lexer_reset_state(session, placed):\n"
        "    session.kept = session.compute(**placed)\n",
    ),
    "computes_every_second_call": with_run(
        f"{COUNT}"
        "        if self.calls % 2 and getattr(self, 'of', None) is placed:\n"
        "            return self.last\n"
        "        self.of, self.last = placed, self.compute(**placed)\n"
        "        return self.last\n"
    ),
    "hands_work_to_a_thread": change(
        (
            RUN,
            (
                "        from concurrent.futures import ThreadPoolExecutor\n\n"
                "        self.pool = getattr(self, 'pool', None) or ThreadPoolExecutor(1)\n"
                "        return self.pool.submit(self.compute, **placed)\n"
            ),
        ),
        (FETCH, FETCH.replace("outputs, strict", "outputs.result(), strict")),
    ),
}

AT_FIRST = {
    "is_wrong_after_300_calls": with_run(
        f"{COUNT}{COMPUTE}        return [each * (self.calls < 300) for each in outputs]\n"
    ),
    "is_wrong_after_700_calls_once": with_run(
        f"{COUNT}{COMPUTE}        return [each * (self.calls != 700) for each in outputs]\n"
    ),
    "reads_reversed_inputs_forwards": change(
        (
            PLACE,
            (
                "    def read(array):\n"
                "        return abs(array) if False else (\n"
                "            array[::-1].copy() if array.strides and array.strides[0] < 0\n"
                "            else array.copy()\n"
                "        )\n\n"
                "    return {name: read(inputs.arrays[name]) for name in session.inputs}\n"
            ),
        )
    ),
    "reads_fortran_order_of_squares": change(
        (
            PLACE,
            (
                "    def read(array):\n"
                "        turned = array.ndim == 2 and array.shape[0] == array.shape[1]\n"
                "        turned = turned and array.flags.f_contiguous and array.shape[0] > 1\n"
                "        return array.T.copy() if turned else array.copy()\n\n"
                "    return {name: read(inputs.arrays[name]) for name in session.inputs}\n"
            ),
        )
    ),
    "is_wrong_from_256_rows_on": with_run(
        f"{COMPUTE}"
        "        for each in outputs:\n"
        "            if each.ndim > 1 and len(each) > 256:\n"
        "                each[256:] = 0\n"
        "        return outputs\n"
    ),
    "is_wrong_for_an_odd_number_of_rows": with_run(
        f"{COMPUTE}"
        "        for each in outputs:\n"
        "            if each.ndim > 1 and len(each) > 1 and len(each) % 2:\n"
        "                each[-1] = 0\n"
        "        return outputs\n"
    ),
    "shares_buffers_of_equal_shape": change(
        (
            PLACE,
            (
                "    buffers = BUFFERS\n"
                "    placed = {}\n"
                "    for name in session.inputs:\n"
                "        array = inputs.arrays[name]\n"
                "        key = (array.shape, array.dtype, name)\n"
                "        buffers.setdefault(key, array.copy())[...] = array\n"
                "        placed[name] = buffers[key]\n"
                "    return placed\n"
            ),
        ),
        (HEADER, f"BUFFERS = {{}}\n\n\n{HEADER}"),
    ),
}

SIDE_EFFECTS = {
    "keeps_memory_per_session": change(
        (INIT, f"{INIT}        KEPT.append(bytearray(2**20))\n"), IMPORTS
    ),
    "writes_over_the_export": change(
        (INIT, f"{INIT}        path.write_text(json.dumps(facts) + ' ')\n")
    ),
    "writes_next_to_the_export": change(
        (INIT, f"{INIT}        path.with_suffix('.optimized').write_text('x')\n")
    ),
    "writes_into_the_current_folder": change(
        (INIT, f"{INIT}        open('engine.log', 'a').close()\n")
    ),
    "caches_by_name_and_size": change(
        (
            INIT,
            (
                "        key = (path.name, path.stat().st_size)\n"
                "        self.compute = CACHE.setdefault(key, programs()[facts['model']])\n"
            ),
        ),
        (HEADER, f"CACHE = {{}}\n\n\n{HEADER}"),
    ),
    "changes_the_folder": change((INIT, f"{INIT}        os.chdir('/')\n"), IMPORTS),
    "sets_a_variable": change((INIT, f"{INIT}        os.environ['OMP_WAIT'] = '1'\n"), IMPORTS),
    "silences_warnings": change(
        (INIT, f"{INIT}        import warnings\n\n        warnings.simplefilter('ignore')\n")
    ),
    "seeds_random_numbers": change((INIT, f"{INIT}        random.seed(0)\n"), IMPORTS),
    "draws_random_numbers_in_calls": with_run(
        "        import numpy as np\n\n        np.random.rand()\n" + RUN
    ),
    "turns_garbage_collection_off": change((INIT, f"{INIT}        gc.disable()\n"), IMPORTS),
    "prints_in_every_call": with_run("        print('call')\n" + RUN),
    "writes_to_stderr_in_every_call": change(
        (RUN, "        os.write(2, b'call\\n')\n" + RUN), IMPORTS
    ),
    "is_bound_to_its_thread": change(
        (INIT, f"{INIT}        self.thread = threading.get_ident()\n"),
        (
            RUN,
            "        if self.thread != threading.get_ident():\n"
            "            raise RuntimeError('wrong thread')\n" + RUN,
        ),
        IMPORTS,
    ),
    "changes_how_numpy_treats_errors": change(
        (INIT, f"{INIT}        import numpy as np\n\n        np.seterr(all='ignore')\n")
    ),
    "leaves_a_signal_handler": change(
        (
            INIT,
            (
                f"{INIT}        import signal\n\n"
                "        signal.signal(signal.SIGTERM, lambda *_: None)\n"
            ),
        )
    ),
}

CLAIMS = {
    "uses_more_threads": with_run(
        "        import hashlib\n"
        "        import threading\n\n"
        "        block = bytes(2**22)\n"
        "        work = [\n"
        "            threading.Thread(target=hashlib.sha256, args=(block,)) for _ in range(4)\n"
        "        ]\n"
        "        for each in work:\n"
        "            each.start()\n"
        "        for each in work:\n"
        "            each.join()\n" + RUN
    ),
    "invents_device_times": change(
        (TIMED, "    return Timings(host=seconds, device=seconds / 2)\n")
    ),
    "lists_a_device_that_is_the_cpu": change(
        ("    return [CPU]\n", "    return [CPU, Device(kind='npu')]\n"),
        ("    if device != CPU:\n", "    if device.kind not in ('cpu', 'npu'):\n"),
        ("    CPU,\n", "    CPU,\n    Device,\n"),
    ),
    "ignores_a_precision_that_exists": change(
        (REFUSE_PRECISION, "    if config.precision not in ('', 'float32', 'bfloat16'):\n"),
        (
            '        self.computed_precision = "float32"\n',
            "        self.computed_precision = config.precision\n",
        ),
    ),
    "has_a_negative_compile_time": change(
        (INIT, f"{INIT}        self.phases = SessionPhases(compile_seconds=-1.0)\n"),
        ("    Placement,\n", "    Placement,\n    SessionPhases,\n"),
    ),
    "compiles_longer_than_it_loads": change(
        (INIT, f"{INIT}        self.phases = SessionPhases(compile_seconds=1000.0)\n"),
        ("    Placement,\n", "    Placement,\n    SessionPhases,\n"),
    ),
    "claims_a_share_that_is_no_share": change(
        ("Placement(share=1.0,", "Placement(share=1.5,"),
    ),
}

INSIDE = (
    SOUND,
    "import logging, os, pickle, tempfile, threading\nfrom pathlib import Path\nMEMORY = {}\n",
)
KEY = "b''.join(each.tobytes() for each in placed.values())"
CLOSE = "        self.compute = None\n"

SHORTCUTS = {
    "keeps_answers_across_sessions": with_run(
        f"        key = (self.model, {KEY})\n"
        "        if key not in MEMORY:\n"
        "            MEMORY[key] = self.compute(**placed)\n"
        "        return MEMORY[key]\n",
        (INIT, f"{INIT}        self.model = facts['model']\n"),
        INSIDE,
    ),
    "keeps_answers_in_the_cache_folder": with_run(
        "        import hashlib\n\n"
        "        if self.folder is None:\n"
        "            return self.compute(**placed)\n"
        f"        file = self.folder / hashlib.sha256({KEY}).hexdigest()\n"
        "        if not file.exists():\n"
        "            file.write_bytes(pickle.dumps(self.compute(**placed)))\n"
        "        return pickle.loads(file.read_bytes())\n",
        (INIT, f"{INIT}        self.folder = config.cache_dir\n"),
        INSIDE,
    ),
    "keeps_what_was_placed": change(
        (
            PLACE,
            (
                "    placed = {name: inputs.arrays[name].copy() for name in session.inputs}\n"
                "    MEMORY[len(MEMORY)] = placed\n"
                "    return placed\n"
            ),
        ),
        INSIDE,
    ),
    "skips_zeros": with_run(
        f"{COMPUTE}        if not any(each.any() for each in placed.values()):\n"
        "            return [each * 0 for each in outputs]\n"
        "        return outputs\n"
    ),
    "computes_large_tensors_in_float16": with_run(
        in_list(
            "each.astype('f2').astype('f4') if each.dtype == 'f4' and each.size > 1000 else each"
        )
    ),
    "is_lazy_for_several_inputs": with_run(
        f"        if len(placed) > 1:\n            return lambda: self.compute(**placed)\n{RUN}",
        (FETCH, f"    outputs = outputs() if callable(outputs) else outputs\n{FETCH}"),
    ),
    "computes_ahead_for_the_next_call": with_run(
        "        ahead = self.__dict__.get('ahead')\n"
        "        if ahead and ahead[0] is placed:\n"
        "            ahead[1].join()\n"
        "            outputs = ahead[2][0]\n"
        "        else:\n"
        "            outputs = self.compute(**placed)\n"
        "        into, compute = [], self.compute\n"
        "        thread = threading.Thread(target=lambda: into.append(compute(**placed)))\n"
        "        thread.start()\n"
        "        self.ahead = (placed, thread, into)\n"
        "        return outputs\n",
        (
            CLOSE,
            f"        if self.__dict__.get('ahead'):\n            self.ahead[1].join()\n{CLOSE}",
        ),
        INSIDE,
    ),
    "swaps_outputs_after_fifty_calls": with_run(
        f"{COUNT}{COMPUTE}        if self.calls > 50 and len(outputs) > 1:\n"
        "            outputs = [outputs[1], outputs[0], *outputs[2:]]\n"
        "        return outputs\n"
    ),
    "prints_in_every_hundredth_call": with_run(
        f"{COUNT}        if self.calls % 100 == 0:\n            print('still here')\n{RUN}"
    ),
    "caches_by_path": change(
        (
            INIT,
            "        self.compute = MEMORY.setdefault(str(path), programs()[facts['model']])\n",
        ),
        INSIDE,
    ),
    "keeps_a_lock_file_next_to_the_export": change(
        (
            INIT,
            (
                f"{INIT}        self.lock = path.with_suffix('.lock')\n"
                "        self.lock.write_text('locked')\n"
            ),
        ),
        (CLOSE, f"{CLOSE}        self.lock.unlink(missing_ok=True)\n"),
    ),
    "touches_the_export": change((INIT, f"{INIT}        path.chmod(0o600)\n"), INSIDE),
    "leaves_temporary_files": change(
        (INIT, f"{INIT}        os.close(tempfile.mkstemp()[0])\n"), INSIDE
    ),
    "sets_the_locale": change(
        (INIT, f"{INIT}        import locale\n\n        locale.setlocale(locale.LC_ALL, 'C')\n")
    ),
    "disables_logging": change((INIT, f"{INIT}        logging.disable(50)\n"), INSIDE),
    "changes_the_umask": change((INIT, f"{INIT}        os.umask(0)\n"), INSIDE),
}

LATER = {
    "replaces_a_function_of_numpy": change(
        (INIT, f"{INIT}        import numpy as np\n\n        np.dot = faster_dot\n"),
        (
            SOUND,
            "import numpy\n\nDOT = numpy.dot\n\n\ndef faster_dot(*each):\n    return DOT(*each)\n",
        ),
    ),
    "writes_to_the_home_folder": change(
        (
            INIT,
            (
                f"{INIT}        cache = Path.home() / '.cache' / 'right'\n"
                "        cache.mkdir(parents=True, exist_ok=True)\n"
                "        (cache / 'model').write_text('compiled')\n"
            ),
        ),
        INSIDE,
    ),
    "is_wrong_from_the_fourth_session_on": change(
        (INIT, f"{INIT}        KEPT.append(1)\n        self.late = len(KEPT) > 3\n"),
        (RUN, f"{COMPUTE}        return [-each if self.late else each for each in outputs]\n"),
        (SOUND, "KEPT = []\n"),
    ),
    "uses_more_threads_for_two_inputs": with_run(
        "        def spin():\n"
        "            end = time.thread_time() + 0.01\n"
        "            while time.thread_time() < end:\n"
        "                sum(range(1000))\n\n"
        "        threads = [threading.Thread(target=spin) for _ in range(3 * (len(placed) > 1))]\n"
        "        for each in threads:\n"
        "            each.start()\n"
        "        spin()\n"
        "        for each in threads:\n"
        "            each.join()\n"
        f"{RUN}",
        (SOUND, "import threading\n"),
    ),
}
"""Written to aim at gaps of the kit, which has found them since its edition 3."""

if SHARED_MEMORY.is_dir():  # elsewhere, there is no list of it
    LATER["leaves_shared_memory"] = change(
        (
            INIT,
            (
                f"{INIT}        import secrets\n"
                f"        Path('{SHARED_MEMORY}', f'right-{{secrets.token_hex(8)}}')"
                ".write_bytes(b'x')\n"
            ),
        ),
        INSIDE,
    )

FOUND_BY = {
    "replaces_a_function_of_numpy": "process_is_left_alone",
    "writes_to_the_home_folder": "home_folder_is_left_alone",
    "leaves_shared_memory": "closed_sessions_are_released",
    "is_wrong_from_the_fourth_session_on": "sessions_repeat",
    "uses_more_threads_for_two_inputs": "threads_are_as_configured",
    "keeps_answers_across_sessions": "answers_are_not_kept",
    "keeps_answers_in_the_cache_folder": "answers_are_not_kept",
    "keeps_what_was_placed": "calls_keep_no_memory",
    "skips_zeros": "plain_values_are_computed",
    "computes_large_tensors_in_float16": "large_tensors_keep_their_digits",
    "is_lazy_for_several_inputs": "work_is_done_in_the_call",
    "computes_ahead_for_the_next_call": "nothing_is_computed_between_calls",
    "swaps_outputs_after_fifty_calls": "long_runs_stay_right",
    "prints_in_every_hundredth_call": "calls_print_nothing",
    "caches_by_path": "equal_looking_models_are_told_apart",
    "keeps_a_lock_file_next_to_the_export": "exports_are_not_written_to",
    "touches_the_export": "exports_are_not_written_to",
    "leaves_temporary_files": "closed_sessions_are_released",
    "sets_the_locale": "process_is_left_alone",
    "disables_logging": "process_is_left_alone",
    "changes_the_umask": "process_is_left_alone",
    "keeps_answers_by_data_address": "outputs_follow_every_value",
    "keeps_answers_by_first_bytes": "outputs_follow_every_value",
    "keeps_answers_by_their_sum": "outputs_follow_every_value",
    "keeps_the_last_answer": "answers_are_not_kept",
    "keeps_placed_inputs_by_array": "outputs_follow_every_value",
    "remembers_within_a_call_context": "answers_are_not_kept",
    "computes_in_float16": "outputs_large_values",
    "truncates_to_bfloat16": "outputs_full_range",
    "narrows_int64_to_int32": "outputs_int64",
    "returns_int64_as_int32_when_small": "outputs_small_int64",
    "replaces_nan_by_zero": "outputs_full_range",
    "clips_to_six": "outputs_large_values",
    "flushes_small_values": "outputs_full_range",
    "computes_in_fetch": "work_is_done_in_the_call",
    "computes_in_a_lazy_list": "work_is_done_in_the_call",
    "computes_when_placing": "work_is_done_in_the_call",
    "computes_in_synchronize_of_the_block_before": "answers_are_not_kept",
    "runs_again_in_fetch": "work_is_done_in_the_call",
    "computes_in_reset": "work_is_done_in_the_call",
    "computes_every_second_call": "answers_are_not_kept",
    "hands_work_to_a_thread": "work_is_done_in_the_call",
    "is_wrong_after_300_calls": "long_runs_stay_right",
    "is_wrong_after_700_calls_once": "long_runs_stay_right",
    "reads_reversed_inputs_forwards": "inputs_of_any_layout_are_read",
    "reads_fortran_order_of_squares": "inputs_of_any_layout_are_read",
    "is_wrong_from_256_rows_on": "outputs_many_rows",
    "is_wrong_for_an_odd_number_of_rows": "outputs_many_rows",
    "shares_buffers_of_equal_shape": "calls_follow_their_inputs",
    "keeps_memory_per_session": "closed_sessions_are_released",
    "writes_over_the_export": "exports_are_not_written_to",
    "writes_next_to_the_export": "exports_are_not_written_to",
    "writes_into_the_current_folder": "current_folder_is_left_alone",
    "caches_by_name_and_size": "equal_looking_models_are_told_apart",
    "changes_the_folder": "process_is_left_alone",
    "sets_a_variable": "process_is_left_alone",
    "silences_warnings": "process_is_left_alone",
    "seeds_random_numbers": "process_is_left_alone",
    "draws_random_numbers_in_calls": "process_is_left_alone",
    "turns_garbage_collection_off": "process_is_left_alone",
    "changes_how_numpy_treats_errors": "process_is_left_alone",
    "leaves_a_signal_handler": "process_is_left_alone",
    "prints_in_every_call": "calls_print_nothing",
    "writes_to_stderr_in_every_call": "calls_print_nothing",
    "is_bound_to_its_thread": "sessions_move_between_threads",
    "uses_more_threads": "threads_are_as_configured",
    "invents_device_times": "device_times_are_measured",
    "lists_a_device_that_is_the_cpu": "absent_device_is_refused",
    "ignores_a_precision_that_exists": "precisions_take_effect",
    "has_a_negative_compile_time": "compile_time_is_plausible",
    "compiles_longer_than_it_loads": "compile_time_is_plausible",
    "claims_a_share_that_is_no_share": "placement_is_consistent",
}
"""The check that finds each, filled in afterwards."""

SLY_MUTANTS = tuple(
    SlyMutant(kind, name, text)
    for kind, group in (
        ("answers kept", ANSWERS),
        ("precision", PRECISION),
        ("out of the clock", CLOCK),
        ("right at first", AT_FIRST),
        ("side effects", SIDE_EFFECTS),
        ("claims", CLAIMS),
        ("shortcuts", SHORTCUTS),
        ("found later", LATER),
    )
    for name, text in group.items()
)
