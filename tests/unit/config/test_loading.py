import json
import os
from pathlib import Path

import pytest

from outboard.config.loading import _unreadable, can_change, find, load
from tests.unit.config.snippets import written

GOOD = json.dumps({"EventSourceMappings": [written()]})


def names(loaded):
    assert loaded.configuration is not None
    return [it.name for it in loaded.configuration.event_source_mappings]


def listing(*mapping_names):
    return json.dumps({"EventSourceMappings": [written(Name=name) for name in mapping_names]})


@pytest.mark.parametrize(
    ("path", "environ", "found"),
    [
        ("my.yaml", {"OUTBOARD_CONFIG": "other.yaml"}, "my.yaml"),
        (None, {"OUTBOARD_CONFIG": "other.yaml"}, "other.yaml"),
        (None, {"OUTBOARD_CONFIG": ""}, "configs/outboard.yaml"),
        (None, {}, "configs/outboard.yaml"),
    ],
)
def test_the_path_is_the_given_one_then_the_environments_then_the_default(path, environ, found):
    assert find(path, environ) == Path(found)


def test_a_file_is_loaded_whatever_its_suffix(tmp_path):
    file = tmp_path / "config"
    file.write_text(GOOD)

    assert names(load(file)) == ["orders"]


def test_a_byte_order_mark_is_ignored(tmp_path):
    file = tmp_path / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())

    assert names(load(file)) == ["orders"]


def test_a_folders_files_are_read_in_name_order_and_hidden_and_other_ones_not(tmp_path):
    for name in ("c.json", "a.yaml", "b.yml"):
        (tmp_path / name).write_text(listing(name[0]))
    for name in (".hidden.yaml", "notes.txt", "d.yaml~"):
        (tmp_path / name).write_text("{")
    (tmp_path / "folder.yaml").mkdir()

    assert names(load(tmp_path)) == ["a", "b", "c"]


def test_the_schema_for_editors_may_lie_beside_what_it_describes(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "outboard.schema.json").write_text("{}")

    assert names(load(tmp_path)) == ["orders"]


def test_a_config_map_as_kubernetes_mounts_it_is_read_once(tmp_path):
    data = tmp_path / "..2025_01_31"
    data.mkdir()
    (data / "outboard.yaml").write_text(GOOD)
    (tmp_path / "..data").symlink_to(data.name)
    (tmp_path / "outboard.yaml").symlink_to("..data/outboard.yaml")

    assert names(load(tmp_path)) == ["orders"]


def test_a_path_that_does_not_exist_is_a_problem(tmp_path):
    loaded = load(tmp_path / "no.yaml")

    assert (loaded.configuration, loaded.fatal) == (None, True)
    assert [str(it) for it in loaded.problems] == [
        f"{tmp_path}/no.yaml: does not exist; name the file or folder, or set OUTBOARD_CONFIG"
    ]


def test_an_empty_folder_is_a_problem(tmp_path):
    assert [str(it) for it in load(tmp_path).problems] == [
        f"{tmp_path}: holds no *.yaml, *.yml or *.json file; put one there, or name a file"
    ]


def test_a_file_that_is_not_utf_8_is_a_problem_beside_those_of_other_files(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"Installation: shop\n# caf\xe9\n")
    (tmp_path / "b.yaml").write_text("Foo: 1\n")

    loaded = load(tmp_path)

    assert loaded.fatal is True
    assert [str(it).split(";")[0] for it in loaded.problems] == [
        f"{tmp_path}/a.yaml:2: is not UTF-8 text",
        f"{tmp_path}/b.yaml:1: Foo: is not a known field",
    ]


def test_a_file_that_may_not_be_read_has_a_sentence_of_its_own():
    """Tests may run as root, who may read everything."""
    assert (
        _unreadable(PermissionError(13, "Permission denied")) == "may not be read by this user; change its permissions"
    )


def test_a_link_to_nowhere_in_a_folder_is_a_problem(tmp_path):
    (tmp_path / "a.yaml").symlink_to("gone.yaml")

    assert [str(it) for it in load(tmp_path).problems] == [
        f"{tmp_path}/a.yaml: does not exist; name the file or folder, or set OUTBOARD_CONFIG"
    ]


def test_a_link_to_itself_is_a_problem(tmp_path):
    (tmp_path / "a.yaml").symlink_to("a.yaml")

    [problem] = load(tmp_path / "a.yaml").problems

    assert problem.message == "cannot be read (Too many levels of symbolic links); check the path and the disk"


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text(GOOD)

    assert names(load(tmp_path)) == ["orders"]


def test_a_pipe_cannot_be_read_again_but_what_may_come_back_can(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.yaml").write_text(GOOD)

    assert [can_change(tmp_path / name) for name in ("pipe", "a.yaml", "", "gone.yaml")] == [False, True, True, True]


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is_one(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.yaml")).write_text("Foo: 1\n")

    assert str(load(tmp_path).problems[0]).startswith(f"{tmp_path}/caf\\xe9.yaml:1: Foo: is not a known field")


def test_a_changed_file_changes_the_hash(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(GOOD)
    before = load(file).content_hash
    same = load(file).content_hash
    file.write_text(GOOD + "\n")

    assert (before == same, before == load(file).content_hash) == (True, False)
