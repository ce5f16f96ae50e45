from __future__ import annotations

import numpy as np
import pytest
from stem_paired.alignment import align
from stem_paired.tables import Table

from stemcore import UserError


def table(ids: str, features: str = "gh") -> Table:
    return Table(tuple(ids.split()), tuple(features), np.zeros((len(ids.split()), len(features)), np.float32))


def test_samples_in_common_come_in_the_order_of_the_first_table():
    found = align(table("D A C B"), table("A B D"), "a.csv", "b.csv")
    assert found.ids == ("D", "A", "B")
    assert found.a.tolist() == [0, 1, 3]
    assert found.b.tolist() == [2, 0, 1]


def test_what_is_left_out_is_counted_and_named_on_each_side():
    found = align(table("A B V W X Y Z"), table("B U A"), "a.csv", "b.csv")
    said = "5 of a.csv (V, W, X, and 2 more) and 1 of b.csv (U) are not in the other table and left out; 2 samples"
    assert found.report.startswith(said)
    assert align(table("A B"), table("B A"), "a.csv", "b.csv").report == ""


def test_a_table_that_seems_turned_is_asked_about():
    ids = " ".join(f"gene{k}" for k in range(20))
    other = " ".join(["gene0", *(f"probe{k}" for k in range(19))])
    assert "is 'transpose' right?" in align(table(ids, "ABC"), table(other, "ABCD"), "a", "b").report
    assert "transpose" not in align(table(ids, "ABC"), table(ids + " X", "ABCD"), "a", "b").report


@pytest.mark.parametrize(
    ("a", "b", "hint"),
    [
        (table("A B"), table("C D", "xy"), "the first column of each is the sample id"),
        (table("TCGA.A1 TCGA.A2"), table("TCGA-A1", "xy"), "their ids differ in their signs"),
        (table("s1 s2"), table("S1 S2", "xy"), "their ids differ in case alone"),
        (table("0012 0013"), table("12 13", "xy"), "their ids differ in leading zeros alone"),
        (table("g1 g2", "ABC"), table("p1 p2", "ABD"), "set 'transpose' if these are the samples"),
        (table("A B", "gh"), table("p1 p2", "AB"), "the samples of one stand in the header of the other"),
    ],
)
def test_nothing_in_common_is_refused_with_what_may_be_wrong(a, b, hint):
    with pytest.raises(UserError, match=r"have no sample in common, such as") as caught:
        align(a, b, "a.csv", "b.csv")
    assert hint in str(caught.value)
    assert str(caught.value).startswith("a.csv and b.csv: ")
