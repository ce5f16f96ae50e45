import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from stem_datasets.tensor_file import open_array

from stemcore import UserError


class Trap:
    """Unpickled, it would make a folder: a harmless stand-in for any function."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def trap(tmp_path):
    trap = Trap(tmp_path / "ran")
    pickle.loads(pickle.dumps(trap))  # it does spring
    (tmp_path / "ran").rmdir()
    yield trap
    assert not (tmp_path / "ran").exists()


def problem(path, key=None):
    with pytest.raises(UserError) as error:
        open_array(path, key)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrap", [lambda trap: trap, lambda trap: {"x": torch.ones(3, 2, 2), "y": trap}])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, trap, new, wrap):
    torch.save(wrap(trap), tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    text = problem(tmp_path / "x.pt")
    assert "refused: it holds more than tensors" in text
    assert "could run code" in text


def test_modules_and_torchscript_are_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pt")
    assert "refused" in problem(tmp_path / "x.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "y.pt"))
    assert "refused" in problem(tmp_path / "y.pt")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_python_objects_in_numpy_files_are_refused_and_not_run(tmp_path, trap, name):
    values = np.array([trap, 1], dtype=object)
    np.save(tmp_path / name, values) if name.endswith("npy") else np.savez(tmp_path / name, a=values)
    assert "refused: it holds Python objects" in problem(tmp_path / name)


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.npz"])
@pytest.mark.parametrize("content", [b"", b"words, not a tensor" * 9, b"\x80\x04K\x01."])
def test_what_is_no_tensor_file_is_called_so(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    text = problem(tmp_path / name)
    assert any(says in text for says in ("empty", "not a file of", "damaged"))


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.npz"])
def test_a_truncated_file_is_called_damaged(tmp_path, name):
    path, values = tmp_path / name, np.random.default_rng(0).random((50, 8, 8))
    if name == "x.pt":
        torch.save(torch.from_numpy(values), path)
    else:
        np.save(path, values) if name == "x.npy" else np.savez_compressed(path, a=values)
    with path.open("r+b") as raw:
        raw.truncate(path.stat().st_size // 2)
    assert "damaged" in problem(path)


def test_another_suffix_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("1,2")
    assert "right are .pt, .pth, .npy, .npz" in problem(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x.pt", "x.npz"])
def test_several_arrays_need_a_key(tmp_path, name):
    path, arrays = tmp_path / name, {"train": np.ones((3, 2, 2)), "test": np.zeros((2, 2, 2))}
    if name == "x.pt":
        torch.save({n: torch.from_numpy(a) for n, a in arrays.items()}, path)
    else:
        np.savez(path, **arrays)
    np.testing.assert_array_equal(open_array(path, "test"), arrays["test"])
    assert "it holds several arrays; 'key' is to be one of: train, test" in problem(path)
    assert "there is no key 'tran'; did you mean 'train'?" in problem(path, "tran")


def test_a_single_array_needs_no_key(tmp_path):
    np.savez(tmp_path / "x.npz", np.ones((3, 2, 2)))
    assert open_array(tmp_path / "x.npz", None).shape == (3, 2, 2)
    np.save(tmp_path / "x.npy", np.ones((3, 2, 2)))
    assert "leave 'key' out" in problem(tmp_path / "x.npy", "a")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (torch.ones(3, 2, 2, dtype=torch.complex64), "its type is complex64"),
        (torch.ones(3, 2, 2).to_sparse(), "a sparse tensor"),
        ([torch.ones(2, 2)], "it holds a list"),
        (torch.ones(3, 2, 2).to(torch.float8_e5m2), "its type is torch.float8_e5m2"),
    ],
)
def test_what_is_no_dense_array_of_numbers_is_refused(tmp_path, content, says):
    torch.save(content, tmp_path / "x.pt")
    assert says in problem(tmp_path / "x.pt")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_files_are_mapped_not_read(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 2, 2)))
    assert isinstance(open_array(tmp_path / "x.npy", None), np.memmap)
    torch.save(torch.ones(1 << 24), tmp_path / "x.pt")
    before = _resident()
    array = open_array(tmp_path / "x.pt", None)
    assert _resident() - before < 1 << 24  # of 64 MB
    assert array[-1] == 1


def _resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * 4096
