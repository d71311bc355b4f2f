"""A state file has one user at a time; the lock ends with its holder."""

import os
from pathlib import Path

import pytest

from outboard.state import lock
from outboard.state.unavailable import StateUnavailable


def test_a_second_user_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    path = tmp_path / "outboard.db"
    held = lock.take(path)

    with pytest.raises(StateUnavailable) as refused:
        lock.take(path)

    assert str(refused.value) == (
        f"State.Path: the state file {path} is in use by another process "
        f"(pid {os.getpid()} on {os.uname().nodename}); give each process a State.Path of its own."
    )
    os.close(held)


def test_a_holder_that_could_not_sign_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / "outboard.db"
    held = lock.take(path)
    os.ftruncate(held, 0)

    with pytest.raises(StateUnavailable, match="is in use by another process; give"):
        lock.take(path)

    os.close(held)


def test_what_was_closed_can_be_taken_again_and_is_signed_anew(tmp_path: Path) -> None:
    path = tmp_path / "outboard.db"
    (tmp_path / "outboard.db-lock").write_text("4711 on a-host-with-a-name-that-is-longer-than-any-other\n")
    os.close(lock.take(path))
    os.close(lock.take(path))

    assert (tmp_path / "outboard.db-lock").read_text() == f"{os.getpid()} on {os.uname().nodename}\n"


def test_a_refused_process_keeps_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "outboard.db"
    held = lock.take(path)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(StateUnavailable):
            lock.take(path)

    assert len(list(Path("/dev/fd").iterdir())) == before
    os.close(held)


def test_a_program_that_is_started_does_not_inherit_the_lock(tmp_path: Path) -> None:
    held = lock.take(tmp_path / "outboard.db")

    assert not os.get_inheritable(held)
    os.close(held)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "outboard.db"

    with pytest.raises(StateUnavailable) as refused:
        lock.take(path)

    assert str(refused.value) == (
        f"State.Path: the state file {path} is in a folder that does not exist; make that folder, or name another."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateUnavailable, match=r"cannot be locked \(File name too long\); put it into a folder"):
        lock.take(tmp_path / ("x" * 300))
