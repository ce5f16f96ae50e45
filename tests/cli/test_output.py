from __future__ import annotations

import io
import json
import sys

from stemcore.cli.output import number, show_json, show_table, stdout_kept_clean


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_columns_are_never_cut(capsys):
    show_table(("name", "about"), [("a", "x" * 300), ("long-name", "")])
    assert capsys.readouterr().out == f"name       about\na          {'x' * 300}\nlong-name\n"


def test_terminal_gets_a_frame_and_text_as_it_is(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    show_table(("metric", "model"), [("[red]psnr", "21.5")])
    shown = terminal.getvalue()
    assert "[red]psnr" in shown
    assert "┃" in shown


def test_json_has_no_numbers_that_json_lacks(capsys):
    show_json({"a": float("nan"), "b": [float("inf"), 1.5], 3: ("x",)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "3": ["x"]}


def test_stdout_is_kept_for_results(capsys):
    with stdout_kept_clean():
        print("chatter")
    assert capsys.readouterr() == ("", "chatter\n")


def test_only_the_first_process_prints(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    show_table(("a",), [("b",)])
    show_json({})
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    show_json({})
    assert capsys.readouterr().out == "{}\n"


def test_number():
    assert (number(None), number(0.123456789), number(1e-9)) == ("", "0.123457", "1e-09")
