import sys
from importlib import import_module
from subprocess import run

import pytest
from stem_datasets.plugin import stem_datasets

from stemcore import Dataset, UserError
from stemcore.component.kinds import KINDS
from stemcore.plugins.signature import Schema


def schema(name):
    module, _, attribute = stem_datasets()[name].partition(":")
    return Schema(getattr(import_module(module), attribute), KINDS["dataset"], name)


@pytest.mark.parametrize("name", ["hdf5", "tensor", "sample"])
def test_each_name_is_a_dataset_whose_parameters_are_described(name):
    found = schema(name)
    assert issubclass(found.target, Dataset)
    assert found.summary
    properties = found.model.model_json_schema()["properties"]
    assert properties
    assert all(p.get("description") for p in properties.values())


def test_a_recipe_s_values_are_checked_strictly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, problems = schema("hdf5").validate({"path": ["a.h5", "b*.h5"], "scan_shape": [4, 5]})
    assert not problems
    assert arguments["path"] == [tmp_path / "a.h5", tmp_path / "b*.h5"]
    for wrong in ({"scan_shape": [0, 5]}, {"expected_scale": 0}, {"dataset": 3}, {"skip_unreadable": 1}, {"data": "x"}):
        assert schema("hdf5").validate({"path": "a.h5", **wrong})[1]
    assert schema("sample").validate({"name": "other"})[1]


def test_listing_the_datasets_imports_neither_torch_nor_h5py():
    code = "import sys, stem_datasets.plugin as p; p.stem_datasets(); print({'torch', 'h5py'} & set(sys.modules))"
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_user_errors_are_one_line(tmp_path):
    with pytest.raises(UserError) as error:
        schema("hdf5").build(path=tmp_path / "none.h5")
    assert "\n" not in str(error.value)
