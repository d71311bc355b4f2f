"""AWS's listing: its filters, its pages, its refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outboard.observe.listing import PAGE, Configuration, Refused, find, page

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:process-orders"
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:orders"


def mapping(uuid: str, function: str = FUNCTION, source: str = QUEUE) -> dict[str, object]:
    return {"UUID": uuid, "FunctionArn": function, "EventSourceArn": source}


def uuids(found: object) -> list[object]:
    assert isinstance(found, list)
    return [each["UUID"] for each in found]


def test_without_parameters_everything_is_listed_in_the_order_of_uuids() -> None:
    found = page([mapping("b"), mapping("a")], {})

    assert (uuids(found.mappings), found.marker) == (["a", "b"], None)


def test_a_source_is_found_by_its_whole_arn() -> None:
    listing = [mapping("a"), mapping("b", source=QUEUE + "-2"), {"UUID": "c", "FunctionArn": FUNCTION}]

    assert uuids(page(listing, {"EventSourceArn": QUEUE}).mappings) == ["a"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("process-orders", ["plain"]),
        ("process-orders:$LATEST", ["plain"]),
        ("process-orders:live", ["alias"]),
        ("123456789012:function:process-orders", ["plain"]),
        ("123456789012:process-orders", ["plain"]),
        ("function:process-orders", ["plain"]),
        (FUNCTION, ["plain"]),
        (f"{FUNCTION}:$LATEST", ["plain"]),
        (f"{FUNCTION}:live", ["alias"]),
        ("arn:aws:lambda:us-east-1:123456789012:function:process-orders", []),
        ("210987654321:function:process-orders", []),
        ("process", []),
        ("not a function!", []),
    ],
)
def test_a_function_is_found_by_each_of_its_names(asked: str, found: list[str]) -> None:
    listing = [mapping("alias", f"{FUNCTION}:live"), mapping("plain")]

    assert uuids(page(listing, {"FunctionName": asked}).mappings) == found


@given(names=st.sets(st.uuids().map(str), max_size=30), size=st.integers(1, 10))
def test_following_the_markers_lists_everything_once(names: set[str], size: int) -> None:
    listing: list[Configuration] = [mapping(name) for name in names]
    seen: list[object] = []
    marker: str | None = ""
    while marker is not None:
        answer = page(listing, {"MaxItems": str(size), "Marker": marker})
        assert len(answer.mappings) <= size
        seen += uuids(answer.mappings)
        marker = answer.marker

    assert seen == sorted(names)


def test_a_page_stays_where_it_was_when_a_mapping_before_it_goes() -> None:
    listing = [mapping(name) for name in "abcd"]
    first = page(listing, {"MaxItems": "2"})

    assert uuids(page(listing[1:], {"Marker": first.marker or ""}).mappings) == ["c", "d"]


def test_no_page_is_longer_than_aws_makes_them() -> None:
    listing = [mapping(f"{number:04}") for number in range(PAGE + 1)]

    assert len(page(listing, {}).mappings) == len(page(listing, {"MaxItems": "10000"}).mappings) == PAGE


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            {"MaxItems": "0"},
            "ValidationException",
            (
                "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1"
            ),
        ),
        (
            {"MaxItems": "10001"},
            "ValidationException",
            (
                "1 validation error detected: Value '10001' at 'maxItems' failed to satisfy constraint: "
                "Member must have value less than or equal to 10000"
            ),
        ),
        ({"MaxItems": "ten"}, "InvalidParameterValueException", "MaxItems must be a whole number, and 'ten' is none."),
        ({"Marker": "%%"}, "InvalidParameterValueException", "Marker is not one that this listing gave out."),
        ({"Marker": "/w=="}, "InvalidParameterValueException", "Marker is not one that this listing gave out."),
        ({"Marker": "é"}, "InvalidParameterValueException", "Marker is not one that this listing gave out."),
    ],
)
def test_a_wrong_parameter_is_refused(query: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        page([], query)

    assert (refused.value.status, refused.value.code, refused.value.message) == (400, code, message)


def test_one_mapping_is_found_by_its_uuid() -> None:
    assert find([mapping("a"), mapping("b")], "b") == mapping("b")


def test_a_mapping_that_is_not_there_is_refused_in_awss_words() -> None:
    with pytest.raises(Refused) as refused:
        find([mapping("a")], "b")

    assert (refused.value.status, refused.value.code) == (404, "ResourceNotFoundException")
    assert refused.value.message == "The resource you requested does not exist."
