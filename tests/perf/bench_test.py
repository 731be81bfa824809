"""What the scripts of perf/bench share: verdicts, records, places of servers and load."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

BENCH = pathlib.Path(__file__).resolve().parents[2] / "perf" / "bench"
sys.path.insert(0, str(BENCH))

import _cpus
from _record import Record


def empty_record():
    return Record("some", "A question", "", "./dev bench some", "2026-01-01 00:00", "abc", {})


def compared(ours, theirs, **others):
    record = empty_record()
    record.compare("CPU", ours, theirs, "peer", **others)
    return record.findings[0]


class Verdicts(unittest.TestCase):
    def test_all_rounds_within_the_limit_meet_it(self):
        self.assertEqual(compared([8, 9], [10, 10], limit=0.9).verdict(), "met")

    def test_all_rounds_beyond_the_limit_miss_it(self):
        self.assertEqual(compared([9.1, 12], [10, 10], limit=0.9).verdict(), "missed")

    def test_rounds_on_both_sides_of_the_limit_leave_it_undecided(self):
        for lower in True, False:
            finding = compared([8, 8.5, 12], [10, 10, 10], limit=0.9, lower=lower)
            self.assertEqual(finding.verdict(), "undecided")
            self.assertEqual(finding.standing(), "undecided")

    def test_more_is_ahead_where_more_is_better(self):
        self.assertEqual(compared([12, 11], [10, 10], lower=False).standing(), "ahead")
        self.assertEqual(compared([12, 11], [10, 10]).standing(), "behind")

    def test_the_target_beside_a_skipped_peer_is_not_judged(self):
        record = empty_record()
        record.skip("peer", "it needs a package")
        record.compare("CPU", [1], [], "peer", limit=1)
        record.compare("memory", [1], [], "peer")
        self.assertEqual(record.verdicts(), "1 not judged")

    def test_a_figure_that_loses_to_several_peers_is_listed_once_with_the_worst_first(self):
        record = empty_record()
        record.compare("p99", [3], [2], "near", at="busy")
        record.compare("CPU", [3], [2.5], "far")
        record.compare("p99", [3], [1], "far", at="busy")
        record.compare("p50", [1], [2], "far")
        self.assertEqual([[finding.peer for finding in group] for group in record.losses()],
                         [["far", "near"], ["far"]])


class Records(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def saved_by(self, end):
        """What a script saves that begins a record and ends so."""
        script = self.folder / "some"
        script.write_text(f"""import sys; sys.path.insert(0, {str(BENCH)!r})
import pathlib, _common, _record
_common.ROOT = _common.OUT = pathlib.Path({str(self.folder)!r})
record = _record.Record.begin('A question', _common.ROOT)
runs = []
record.keep(runs=runs)
runs.append(1)
{end}""", encoding="utf-8")
        subprocess.run([sys.executable, script], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        return sorted(self.folder.glob("some-*.json"))

    def test_a_script_that_fails_saves_the_error_and_its_runs(self):
        for end, error in [("_common.fail('no server', 'it ended', 'look')", "no server"),
                           ("{}['key']", "KeyError")]:
            path = self.saved_by(end)[-1]
            self.assertIn(error, Record.read(path).error)
            self.assertEqual(json.loads(path.read_text(encoding="utf-8"))["runs"], [1])

    def test_a_script_that_succeeds_saves_no_error(self):
        paths = self.saved_by("record.save()")
        self.assertEqual([Record.read(path).error for path in paths], [""])

    def test_an_interrupted_script_saves_nothing(self):
        self.assertEqual(self.saved_by("raise KeyboardInterrupt"), [])

    def test_a_record_without_the_later_fields_can_be_read(self):
        record = {name: "" for name in ("name", "title", "text", "command", "date", "revision")}
        finding = dict.fromkeys(("what", "at", "us", "unit"), "") | dict.fromkeys(
            ("lower", "ours", "value", "low", "high"), 1)
        path = self.folder / "old.json"
        path.write_text(json.dumps({"record": record | {"machine": {}, "findings": [finding]}}),
                        encoding="utf-8")
        self.assertEqual(len(Record.read(path).findings), 1)

    def test_a_record_of_another_form_is_not_read(self):
        path = self.folder / "other.json"
        path.write_text('{"record": {"surprise": 1}}', encoding="utf-8")
        self.assertIsNone(Record.read(path))


class PlacesOfServerAndLoad(unittest.TestCase):
    def on(self, cores_of_cpus):
        """A machine that has these sets of siblings."""
        cpus = sorted(cpu for core in cores_of_cpus for cpu in core)
        of = {cpu: core for core in cores_of_cpus for cpu in core}
        for patch in [mock.patch("os.sched_getaffinity", lambda _: set(cpus)),
                      mock.patch("_cpus.siblings", lambda cpu: of[cpu])]:
            patch.start()
            self.addCleanup(patch.stop)

    def test_cpus_are_those_that_this_process_may_use(self):
        self.on([{4}, {6}])
        places = _cpus.Places(1)
        self.assertEqual((places.server, places.load), ({4}, [6]))

    def test_the_load_is_not_on_a_sibling_of_the_server(self):
        self.on([{0, 1}, {2, 3}])
        places = _cpus.Places(1)
        self.assertEqual((places.server, places.load), ({0}, [2, 3]))

    def test_a_server_takes_cores_before_siblings(self):
        self.on([{0, 1}, {2, 3}])
        places = _cpus.Places(2)
        self.assertEqual((places.server, places.load), ({0, 2}, [1, 3]))

    def test_where_the_server_takes_all_the_load_shares_them(self):
        self.on([{0}, {1}])
        places = _cpus.Places(2)
        self.assertTrue(places.shared)
        self.assertEqual(places.options(), {"processes": 2})

    def test_the_load_is_the_limit_when_its_cpus_are_full(self):
        self.on([{0}, {1}])
        run = lambda load, server: {"load_cpu": load, "server": {"cpu": server}}
        alone, together = _cpus.Places(1), _cpus.Places(2)
        self.assertTrue(alone.load_is_the_limit(run(0.95, 0.99)))
        self.assertFalse(alone.load_is_the_limit(run(0.85, 0.99)))
        self.assertTrue(together.load_is_the_limit(run(0.95, 1)))
        self.assertFalse(together.load_is_the_limit(run(0.85, 1)))


if __name__ == "__main__":
    unittest.main()
