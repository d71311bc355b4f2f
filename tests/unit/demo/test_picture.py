"""A picture of a run shows what was said, around the table as it stood half-way."""

import io
from pathlib import Path

from rich.console import Console

from outboard.demo.display import PlainScreen
from outboard.demo.picture import Picture
from outboard.demo.watch import Reading, Snapshot


def test_a_picture_holds_what_was_said_and_the_middle_of_what_was_shown(tmp_path: Path) -> None:
    out = io.StringIO()
    picture = Picture(PlainScreen(Console(file=out, width=200)))
    picture.say("Starting")
    for delivered in (111, 222, 333):
        picture.show(
            [Snapshot(delivered, (Reading("orders", "Enabled", delivered=delivered),))], f"caption-{delivered}"
        )
    picture.settle()
    picture.say("Audit")

    picture.save(tmp_path / "demo.svg")

    drawn = (tmp_path / "demo.svg").read_text()
    assert [text in drawn for text in ("Starting", "caption-222", "Audit", "caption-111", "caption-333")] == [
        *(True, True, True),
        *(False, False),
    ]
    assert "@font-face" not in drawn
    assert "111 delivered" in out.getvalue()
