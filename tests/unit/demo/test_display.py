"""The display turns what the service says into rows, lines and a table."""

import io

from rich.console import Console

from outboard.demo.display import PlainScreen, Row, line, rows, screen, table
from outboard.demo.watch import Reading, Snapshot


def reading(delivered: int = 0, state: str = "Enabled", reason: str = "") -> Reading:
    return Reading(
        "orders", state, reason, in_flight=3, lag_seconds=0.25, delivered=delivered, failed=4, came_back=2, retries=1
    )


def history(*delivered: int, every: float = 1.0) -> list[Snapshot]:
    return [Snapshot(100 + place * every, (reading(count),)) for place, count in enumerate(delivered)]


def printed(*snapshots: Snapshot) -> list[str]:
    out = io.StringIO()
    plain = PlainScreen(Console(file=out, width=40))
    for last in range(1, len(snapshots) + 1):
        plain.show(snapshots[:last], "caption")
    return out.getvalue().splitlines()


def test_there_are_no_rows_before_the_first_answer() -> None:
    assert rows([]) == []


def test_a_row_shows_one_mapping_as_it_is_now() -> None:
    assert rows(history(10, 20)) == [Row("orders", "Enabled", "10.0/s", "3", "20", "4", "2", "1", "0.2 s")]


def test_the_first_snapshot_has_no_rate() -> None:
    assert rows(history(10))[0].rate == "0.0/s"


def test_a_rate_is_the_mean_of_the_last_four_seconds() -> None:
    assert rows(history(0, 1000, 1010, 1020, 1030, 1040))[0].rate == "10.0/s"


def test_a_mapping_that_has_just_appeared_has_no_rate() -> None:
    assert rows([Snapshot(100, ()), Snapshot(101, (reading(50),))])[0].rate == "0.0/s"


def test_an_unknown_lag_is_a_dash() -> None:
    assert rows([Snapshot(1, (Reading("orders", "Enabled"),))])[0].lag == "-"


def test_a_reason_is_shown_only_while_the_mapping_is_not_healthy() -> None:
    shown = [
        rows([Snapshot(1, (reading(state=state, reason="no such queue"),))])[0].reason
        for state in ("Enabled", "Failed")
    ]

    assert shown == ["", "no such queue"]


def test_a_line_says_it_all() -> None:
    [row] = rows([Snapshot(1, (reading(7, "Failed", "no such queue"),))])

    assert line(row, 12.4) == (
        "  12 s  orders         Failed (no such queue), 0.0/s, 3 in flight, 7 delivered, 4 failed, 2 came back, "
        "1 retries, lag 0.2 s"
    )


def test_the_table_has_a_line_for_each_mapping_and_one_for_each_reason() -> None:
    out = io.StringIO()
    [row] = rows([Snapshot(1, (reading(7, "Failed", "no such queue"),))])

    Console(file=out, width=100).print(table([row], "3 s of 30"))

    assert [text.split() for text in out.getvalue().splitlines()] == [
        ["mapping", "state", "rate", "in", "flight", "delivered", "failed", "came", "back", "retries", "lag"],
        ["orders", "Failed", "0.0/s", "3", "7", "4", "2", "1", "0.2", "s"],
        ["orders:", "no", "such", "queue"],
        [],
        ["3", "s", "of", "30"],
    ]


def test_a_pipe_gets_a_line_every_two_seconds_and_never_a_wrapped_one() -> None:
    lines = printed(*history(0, 5, 10, 15, 20, every=0.5))

    assert [text.split(",")[0] for text in lines] == [
        "   0 s  orders         Enabled",
        "   2 s  orders         Enabled",
    ]


def test_a_pipe_gets_no_line_before_the_service_has_answered() -> None:
    out = io.StringIO()

    PlainScreen(Console(file=out)).show([], "caption")

    assert out.getvalue() == ""


def test_a_terminal_is_painted_over_and_a_pipe_is_not() -> None:
    kinds = [type(screen(Console(file=io.StringIO(), force_terminal=terminal))).__name__ for terminal in (True, False)]

    assert kinds == ["LiveScreen", "PlainScreen"]
