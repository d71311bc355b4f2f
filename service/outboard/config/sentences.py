"""Knows what each kind of validation error is in our words; no library's own message reaches a user."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from outboard.config.fields import SENTENCE
from outboard.config.problems import Broken, Path, nearest, shown, unknown_key

_Say = Callable[[str, Mapping[str, Any]], str]


def _choice(value: str, context: Mapping[str, Any]) -> str:
    expected = str(context["expected"]).replace("'", "")
    guess = nearest(value.strip("'"), expected.replace(" or ", ", ").split(", "))
    if guess is not None:
        return f"cannot be {value}; did you mean {guess}?"
    return f"must be {expected}, not {value}; choose one of them"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _length(value: str, context: Mapping[str, Any]) -> str:
    del value
    most = context["max_length"]
    return f"has {context['actual_length']} entries; {most} {'is' if most == 1 else 'are'} allowed at most"


#: Error type -> the sentence, made of what was written (as a user would recognise it) and of the error's context.
_SENTENCES: Mapping[str, _Say] = {
    SENTENCE: lambda _, context: str(context["message"]),
    "missing": lambda _, __: "is missing; add it",
    "int_type": lambda value, _: f"must be a whole number, not {value}; write a plain number, such as 60",
    "float_type": lambda value, _: f"must be a number, not {value}; write a plain number, such as 60",
    "finite_number": lambda _, __: "is too large a number; write a smaller one",
    "int_parsing_size": lambda _, __: "is too large a number; write a smaller one",
    "bool_type": lambda value, _: f"must be true or false, not {value}; write one of the two, without quotes",
    "string_type": lambda value, _: f"must be text, not {value}; put text in quotes",
    "tuple_type": lambda value, _: f"must be a list, not {value}; put it in [ ]",
    "dict_type": lambda value, _: f"must be a block of fields, not {value}; write NAME: VALUE below it",
    "model_type": lambda value, _: f"must be a block of fields, not {value}; write NAME: VALUE below it",
    "greater_than_equal": lambda value, context: f"is {value}; the least allowed is {_number(context['ge'])}; raise it",
    "less_than_equal": lambda value, context: f"is {value}; the most allowed is {_number(context['le'])}; lower it",
    "literal_error": _choice,
    "string_too_short": lambda _, __: "is empty; give it a value",
    "string_too_long": lambda _, context: f"is longer than the {context['max_length']} characters allowed; shorten it",
    "too_short": lambda _, context: f"is too short a list; give at least {context['min_length']}",
    "too_long": _length,
}

#: Their values may be secrets, written there by mistake.
_UNSPEAKABLE = frozenset({"URI"})


def broken_by(error: ValidationError, model: type[BaseModel], others: frozenset[str] = frozenset()) -> list[Broken]:
    """All that a validation complained about. `others`: keys of the top level that are known beside the model's own."""
    found = error.errors(include_url=False)
    # A list of which an entry is wrong counts as too short beside that: one complaint says it all.
    within = {details["loc"][:-1] for details in found}
    told = (details for details in found if details["type"] != "too_short" or details["loc"] not in within)
    return [_broken(details, model, others) for details in told]


def _broken(details: ErrorDetails, model: type[BaseModel], others: frozenset[str]) -> Broken:
    path: Path = tuple(step for step in details["loc"] if step != "[key]")
    if details["type"] == "extra_forbidden":
        known = set(names_at(model, path[:-1])) | (others if len(path) == 1 else frozenset())
        name = str(path[-1])
        return Broken(path, unknown_key(name, known, homes(model, name) if len(path) == 1 else ()))
    value = "what is written there" if _UNSPEAKABLE & set(path) else shown(details["input"])
    say = _SENTENCES.get(details["type"])
    if say is None:
        return Broken(path, f"cannot be {value}; see the field's description in configs/outboard.schema.json")
    return Broken(path, say(value, details.get("ctx", {})))


def names_at(model: type[BaseModel], path: Path) -> list[str]:
    """The names of the fields in the structure at `path`."""
    for step in path:
        if isinstance(step, int):
            continue
        inside = next((field.annotation for field in model.model_fields.values() if field.alias == step), None)
        model = next(_models(inside), model)
    return [str(field.alias) for field in model.model_fields.values()]


def homes(model: type[BaseModel], name: str) -> list[str]:
    """The fields of the model that are structures with a field of that name."""
    return [
        str(field.alias)
        for field in model.model_fields.values()
        if any(name == inner.alias for inside in _models(field.annotation) for inner in inside.model_fields.values())
    ]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
