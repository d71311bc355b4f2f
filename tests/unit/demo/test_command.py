"""Without its extra the demo is one sentence."""

import subprocess
import sys

from outboard.demo.command import EXTRA, extra_is_missing

#: Runs the demo where one package of the extra cannot be found.
WITHOUT_FLASK = """\
import sys
from importlib.machinery import PathFinder

class Blind:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name == "flask" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [Blind if finder is PathFinder else finder for finder in sys.meta_path]
from outboard.demo.command import main
sys.exit(main())
"""


def test_the_extra_is_missing_if_any_part_of_it_is() -> None:
    answers = [extra_is_missing(lambda name, missing=missing: None if name == missing else name) for missing in EXTRA]

    assert answers == [True] * len(EXTRA)
    assert not extra_is_missing(lambda name: name)


def test_a_missing_extra_is_said_in_one_sentence() -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_FLASK], capture_output=True, text=True, check=False, timeout=60
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr
        == "the demo needs its extra: 'make demo' in a checkout installs it, and so does pip install '.[demo]' there\n"
    )
