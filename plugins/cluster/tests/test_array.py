"""Files of arrays."""

from __future__ import annotations

import pytest
from stem_cluster.array import overrides_of, read_array

from stemcore import UserError


def test_every_combination(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("model.latent_dim: [8, 16]\noptimizer.lr: [1e-3, 1e-4, null]\n")
    assert [tuple(values.values()) for values in read_array(str(path))] == [
        (8, 1e-3),
        (8, 1e-4),
        (8, None),
        (16, 1e-3),
        (16, 1e-4),
        (16, None),
    ]


def test_a_list_as_it_stands(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- {model.latent_dim: 8, name: a b}\n- {model.channels: [4, 8]}\n")
    found = read_array(str(path))
    assert found == [{"model.latent_dim": 8, "name": "a b"}, {"model.channels": [4, 8]}]
    assert overrides_of(found[0]) == ["model.latent_dim=8", 'name="a b"']
    assert overrides_of(found[1]) == ["model.channels=[4, 8]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 3\nname: []\n", [":1: seed: 3 is no list of values", ":2: name: [] is no list of values"]),
        ("- 3\n- {}\n", [":1: 3 has no values for keys", ":2: {} has no values for keys"]),
        ("[]\n", ":1: it names no run"),
        ("7\n", ":1: it names no run"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, said):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_array(str(path))
    found = [str(problem) for problem in error.value.problems]
    for line, expected in zip(found, [said] if isinstance(said, str) else said, strict=True):
        assert line.startswith(f"{path}{expected}")
