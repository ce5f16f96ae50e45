from __future__ import annotations

from pathlib import Path

import pytest
from stem_spectral.manifest import Columns, rows_of

from stemcore import UserError


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cubes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_as_a_spreadsheet_saves_them(tmp_path: Path) -> None:
    path = table(tmp_path, '\ufeffID,label,hs_file,rgb_file\r\n007,ill,"a, b.h5",a.png\r\n\r\n8,,/data/b.h5,\r\n')
    first, second = rows_of(path, Columns())
    assert (first.id, first.label, first.path, first.rgb) == ("007", "ill", tmp_path / "a, b.h5", tmp_path / "a.png")
    assert (second.id, second.label, second.path, second.rgb) == ("8", None, Path("/data/b.h5"), None)
    assert (first.where, second.where) == (f"{path}:2", f"{path}:4")


def test_columns_of_other_names(tmp_path: Path) -> None:
    path = table(tmp_path, "cube,eye,patient,part\nx.h5,L,p1,val\n")
    (row,) = rows_of(path, Columns(id="eye", file="cube", split="part", group="patient"))
    assert (row.id, row.path.name, row.part, row.group, row.label) == ("L", "x.h5", "val", "p1", None)


def test_all_that_is_wrong_is_said_by_line(tmp_path: Path) -> None:
    path = table(tmp_path, "ID,hs_file\na,a.h5\na,b.h5\nc,\nd,d.h5,more\n,e.h5\n")
    with pytest.raises(UserError) as caught:
        rows_of(path, Columns())
    said = [(problem.where.removeprefix(f"{path}:"), problem.message) for problem in caught.value.problems]
    assert said == [
        ("3", "'a' is the ID of line 2 too"),
        ("4", "has no file"),
        ("5", "has 3 cells, the header has 2"),
        ("6", "has no ID"),
    ]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("", Columns(), "is empty"),
        ("ID,hs_file\n", Columns(), "a header alone"),
        ("ID;hs_file\n1;2\n", Columns(), "no column 'ID'"),
        ("ID,hs_file\n1,a.h5\n", Columns(label="grade"), "no column 'grade'"),
        ("ID,hs_file,hs_file\n1,a.h5,b.h5\n", Columns(), "'hs_file' twice"),
    ],
)
def test_a_table_without_what_is_needed_is_refused(text: str, columns: Columns, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        rows_of(table(tmp_path, text), columns)
