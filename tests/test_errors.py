from __future__ import annotations

from pathlib import Path

from stemcore.errors import Problem, UserError, close_match, missing_file


def test_a_problem_is_one_line() -> None:
    assert str(Problem("it is wrong")) == "it is wrong"
    assert str(Problem("it is wrong", "a.yaml:3", "write b")) == "a.yaml:3: it is wrong; write b"


def test_strings_become_problems() -> None:
    error = UserError("one", Problem("two", "there"), where="here", hint="do so")
    assert error.problems == (Problem("one", "here", "do so"), Problem("two", "there"))
    assert str(error) == "here: one; do so\nthere: two"


def test_close_matches() -> None:
    assert close_match("latent_dims", ["depth", "latent_dim"]) == "did you mean 'latent_dim'?"
    assert close_match("zzz", ["b", "a"]) == "known: a, b"
    assert close_match("zzz", []) == "there are none"


def test_a_missing_file_names_what_is_beside_it(tmp_path: Path) -> None:
    for name in ("scan_1.h5", "scan_2.h5", "notes.txt"):
        (tmp_path / name).touch()
    said = {name: missing_file(tmp_path / name).problems[0].hint for name in ("scan_3.h5", "qqqqqq.h5", "qqqqqq.csv")}
    assert said["scan_3.h5"] in ("did you mean scan_1.h5?", "did you mean scan_2.h5?")
    assert said["qqqqqq.h5"] == "the folder has scan_1.h5, scan_2.h5"
    assert said["qqqqqq.csv"] == "the folder has no .csv file"
    assert missing_file(tmp_path / "no" / "a.h5").problems[0].hint == f"there is no folder {tmp_path / 'no'}"
    assert str(missing_file(tmp_path / "*.npy", "no file matches")).startswith(f"{tmp_path}/*.npy: no file matches; ")
