import pytest

from outboard.config.problems import Problem, dotted, in_order, nearest, shown, unknown_key


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (
            Problem("a.yaml", 3, "orders", "BatchSize", "is 0; raise it"),
            "a.yaml:3: mapping orders: BatchSize: is 0; raise it",
        ),
        (Problem("a.yaml", 3, None, "Server.Port", "is 0; raise it"), "a.yaml:3: Server.Port: is 0; raise it"),
        (Problem("a.yaml", 3, "#1", None, "is text; mend it"), "a.yaml:3: mapping #1: is text; mend it"),
        (Problem("a.yaml", None, None, None, "is empty; fill it"), "a.yaml: is empty; fill it"),
    ],
)
def test_a_problem_is_one_line_of_the_parts_that_apply(problem, line):
    assert str(problem) == line


def test_problems_come_by_file_and_line_and_each_once():
    first = Problem("a.yaml", None, None, None, "x")
    second = Problem("a.yaml", 2, None, None, "x")
    third = Problem("a.yaml", 10, None, None, "x")
    last = Problem("b.yaml", 1, None, None, "x")

    assert in_order([last, third, second, first, third]) == (first, second, third, last)


def test_a_path_is_printed_as_users_write_it():
    assert dotted(("Filters", 0, "Pattern")) == "Filters[0].Pattern"


@pytest.mark.parametrize(
    ("name", "meant"),
    [("batchsize", "BatchSize"), ("BatchSizes", "BatchSize"), ("Loging", "Logging"), ("Prometheus", None)],
)
def test_the_nearest_name_is_found_whatever_its_case(name, meant):
    assert nearest(name, ["BatchSize", "Logging", "Limits"]) == meant


def test_where_nothing_is_near_and_little_is_known_all_of_it_is_named():
    assert unknown_key("Foo", ["Port", "Host"]) == "is not a known field; known here: Host, Port"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (2.5, "2.5"),
        ([1], "a list"),
        ({}, "a block of fields"),
        ("x" * 81, "'" + "x" * 77 + "...'"),
    ],
)
def test_a_value_is_shown_as_its_writer_knows_it(value, text):
    assert shown(value) == text
