import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.config.documents import UnreadableError, read

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), plain, max_size=5), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_means_what_it_means_to_every_json_parser(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    assert read("config.json", text).value == value


@given(st.dictionaries(st.text(), st.integers(), min_size=1, max_size=8))
def test_json_tells_the_line_of_each_key(value):
    document = read("config.json", json.dumps(value, indent=2))

    assert [document.line_of((key,)) for key in value] == list(range(2, 2 + len(value)))


def test_json_with_tabs_is_read_whatever_the_files_suffix():
    assert read("config.yaml", '{\n\t"a": "\\ud83d\\ude00\\/"\n}').value == {"a": "\U0001f600/"}


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("on", "on"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("-3", -3),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2025-01-31", "2025-01-31"),
        ("2025-01-31T12:00:00Z", "2025-01-31T12:00:00Z"),
        ('"10"', "10"),
        ("'true'", "true"),
        ("!!str 10", "10"),
        ('!!int "10"', 10),
        ("1" * 41, "1" * 41),
        ("${HOME}", "${HOME}"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(scalar, value):
    assert read("config.yaml", f"a: {scalar}\n").value == {"a": value}


def test_every_key_and_entry_has_its_line():
    document = read("config.yaml", "a:\n  - b: 1\n    c:\n      d: 2\n  - 3\n")

    paths = [("a",), ("a", 0), ("a", 0, "b"), ("a", 0, "c"), ("a", 0, "c", "d"), ("a", 1)]
    assert [document.line_of(path) for path in paths] == [1, 2, 2, 3, 4, 5]


def test_what_is_not_there_has_the_line_of_what_is_around_it():
    document = read("config.yaml", "x: 0\na:\n  b: 1\n")

    assert document.line_of(("a", "missing", 3)) == 2


def test_an_alias_has_the_value_and_the_lines_of_what_it_names():
    document = read("config.yaml", "a: &it\n  b: 1\nc: *it\n")

    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert (document.line_of(("c",)), document.line_of(("c", "b"))) == (3, 2)


def test_aliases_of_aliases_of_aliases_are_refused():
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9))

    with pytest.raises(UnreadableError, match="repeats aliases until they make up too many values"):
        read("config.yaml", text)


@pytest.mark.parametrize("text", ["[" * 50_000 + "]" * 50_000, "{a: " * 50_000, "- " * 50_000])
def test_nesting_without_end_is_refused_before_it_breaks_anything(text):
    with pytest.raises(UnreadableError, match="is nested too deeply"):
        read("config.yaml", text)


@pytest.mark.parametrize("text", ['{"a":' * 100 + "1" + "}" * 100, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_nesting_without_end_is_refused_in_json_too(text):
    with pytest.raises(UnreadableError, match="is nested too deeply"):
        read("config.json", text)


def test_an_alias_of_what_contains_it_is_refused():
    with pytest.raises(UnreadableError, match="uses \\*it before anything is named &it"):
        read("config.yaml", "a: &it [*it]\n")


def test_the_first_of_two_equal_keys_is_kept_and_the_second_reported():
    document = read("config.yaml", "a: 1\nb: 2\na: 3\n")

    assert document.value == {"a": 1, "b": 2}
    assert document.repeated == [(("a",), 3, "is given twice in one block, first on line 1; remove one of the two")]


@pytest.mark.parametrize("text", ['{"a": "\\ud83d"}', '{"\\ud83d": 1}', '{"a": "\\ude00\\ud83d"}'])
def test_half_a_surrogate_pair_is_refused(text):
    with pytest.raises(UnreadableError, match="holds half of a surrogate pair"):
        read("config.json", text)


def refusal(file, text):
    try:
        read(file, text)
    except UnreadableError as error:
        return error.message
    return None


@given(st.text(max_size=200), st.sampled_from(["config.yaml", "config.json"]))
def test_any_text_is_read_or_refused_with_a_sentence(text, file):
    message = refusal(file, text)

    assert message is None or "; " in message  # what is wrong; the remedy
