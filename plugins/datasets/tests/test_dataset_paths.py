import os
from pathlib import Path

import pytest
from stem_datasets.paths import check_file, files_named

from stemcore import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("b_2.h5", "b_1.h5", "a[1].h5", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_a_glob_is_sorted_and_a_list_keeps_its_order(folder):
    assert [p.name for p in files_named(folder / "b_*.h5")] == ["b_1.h5", "b_2.h5"]
    assert [p.name for p in files_named([folder / "b_2.h5", folder / "b_1.h5"])] == ["b_2.h5", "b_1.h5"]


def test_a_glob_reaches_into_folders(folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "c.h5").write_bytes(b"x")
    assert files_named(folder / "**" / "c.h5") == [folder / "deep" / "er" / "c.h5"]


def test_brackets_in_a_file_s_own_name_are_no_glob(folder):
    assert files_named(folder / "a[1].h5") == [folder / "a[1].h5"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("b_3.h5", "no such file; did you mean b_"),
        ("zzzzzzzz.h5", "the folder has a[1].h5, b_1.h5, b_2.h5"),
        ("zzzzzzzz.pt", "the folder has no .pt file"),
        ("nowhere/b_1.h5", "there is no folder"),
        ("notes.txt/b_1.h5", "there is no"),
        ("c_*.h5", "no file matches"),
        (".", "is a directory; name a file in it, or a glob such as"),
    ],
)
def test_what_is_no_file_is_named(folder, name, says):
    with pytest.raises(UserError) as error:
        files_named(folder / name)
    assert says in str(error.value)
    assert str(folder) in str(error.value)


def test_a_file_named_twice_is_refused(folder):
    with pytest.raises(UserError, match="named twice"):
        files_named([folder / "b_1.h5", folder / "b_*.h5"])


def test_no_file_at_all_is_refused():
    with pytest.raises(UserError, match="no file is named"):
        files_named([])


def test_a_file_that_may_not_be_read_is_named(folder):
    path: Path = folder / "b_1.h5"
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(UserError, match="permission denied"):
            check_file(path)
    finally:
        if root:
            os.seteuid(0)
