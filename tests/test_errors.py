from __future__ import annotations

from stemcore.errors import Problem, UserError, close_match


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
