import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from stem_datasets.tensor import TensorFile

from stemcore import FieldSpec, UserError


@pytest.fixture
def save(tmp_path):
    def save(array, name="scan.pt"):
        path = tmp_path / name
        if name.endswith(".pt"):
            torch.save(array if isinstance(array, torch.Tensor) else torch.from_numpy(array), path)
        else:
            np.save(path, array) if name.endswith(".npy") else np.savez(path, patterns=array)
        return path

    return save


@pytest.mark.parametrize("name", ["scan.pt", "scan.npy", "scan.npz"])
@pytest.mark.parametrize("indices", [[], [39], [0, 39, 0, 17], list(range(39, -1, -1))])
def test_any_indices_are_read(save, counts, name, indices):
    data = TensorFile(path=save(counts.astype(np.int32), name))
    assert dict(data.fields) == {"input": FieldSpec("input", (1, 12, 10), "int32", minimum=0.0, implicit_channel=True)}
    values = data.read(np.array(indices))["input"]
    assert values.shape == (len(indices), 1, 12, 10)
    assert values.dtype == np.int32
    assert values.flags.writeable
    np.testing.assert_array_equal(values[:, 0], counts[indices])


@pytest.mark.parametrize("channels", [1, 3])
def test_four_axes_have_channels(save, channels):
    values = np.random.default_rng(0).random((20, channels, 6, 5)).astype(np.float32)
    data = TensorFile(path=save(values), scan_shape=[4, 5])
    assert (len(data), data.scan_shape) == (20, (4, 5))
    assert data.fields["input"].shape == (channels, 6, 5)
    assert not data.fields["input"].implicit_channel
    np.testing.assert_array_equal(data.read(np.array([7, 2]))["input"], values[[7, 2]])


@pytest.mark.parametrize("name", ["scan.pt", "scan.npy"])
def test_four_axes_may_be_a_scan(save, name):
    values = np.random.default_rng(0).random((4, 5, 6, 7)).astype(np.float32)
    data = TensorFile(path=save(values, name), scan_shape=[4, 5])
    assert (len(data), data.scan_shape, data.fields["input"].shape) == (20, (4, 5), (1, 6, 7))
    np.testing.assert_array_equal(data.read(np.array([19, 6]))["input"][:, 0], values.reshape(20, 6, 7)[[19, 6]])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.uint16, torch.float16, torch.float64])
def test_the_stored_type_is_kept(save, dtype):
    values = torch.arange(48).reshape(3, 4, 4).to(dtype)
    data = TensorFile(path=save(values))
    assert data.fields["input"].dtype == str(dtype).removeprefix("torch.")
    np.testing.assert_array_equal(data.read(np.arange(3))["input"][:, 0], values.numpy())


def test_bfloat16_becomes_float32(save):
    values = torch.randn(9, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    data = TensorFile(path=save(values))
    assert data.fields["input"].dtype == "float32"
    np.testing.assert_array_equal(data.read(np.array([8, 1]))["input"][:, 0], values[[8, 1]].float().numpy())


def test_booleans_and_the_other_byte_order(save, counts):
    data = TensorFile(path=save(torch.from_numpy(counts > 3)))
    assert data.fields["input"].dtype == "uint8"
    np.testing.assert_array_equal(data.read(np.arange(40))["input"][:, 0], (counts > 3).astype(np.uint8))
    data = TensorFile(path=save(counts.astype(">u2"), "scan.npy"))
    values = data.read(np.array([1]))["input"]
    assert values.dtype.isnative
    np.testing.assert_array_equal(values[0, 0], counts[1])


def test_a_view_and_a_parameter_are_read_as_they_look(save):
    values = torch.arange(120.0).reshape(4, 5, 6).permute(1, 2, 0)
    np.testing.assert_array_equal(TensorFile(path=save(values)).read(np.array([3]))["input"][0, 0], values[3].numpy())
    parameter = torch.nn.Parameter(torch.ones(3, 2, 2))
    assert TensorFile(path=save(parameter)).read(np.arange(3))["input"].sum() == 12


@pytest.mark.parametrize("shape", [(5,), (5, 4), (2, 2, 2, 2, 2), (0, 4, 4), (3, 0, 4)])
def test_another_shape_is_refused(save, shape):
    with pytest.raises(UserError, match=r"its array has shape .*; right are \(patterns, height, width\)"):
        TensorFile(path=save(torch.ones(shape)))


def test_a_scan_must_have_as_many_positions(save, counts):
    with pytest.raises(UserError, match=r"'scan_shape' \[5, 9\] has 45 positions, there are 40 patterns"):
        TensorFile(path=save(counts), scan_shape=[5, 9])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        TensorFile(path=tmp_path / "scan.pt")


def test_an_index_outside_is_an_error(save, counts):
    data = TensorFile(path=save(counts))
    for index in (-1, 40):
        with pytest.raises(IndexError, match="there are 40 items"):
            data.read(np.array([index]))


def test_blocks_are_a_partition(save):
    data = TensorFile(path=save(torch.ones(1000, 16, 16)))
    np.testing.assert_array_equal(np.concatenate(data.blocks()), np.arange(1000))
    assert min(map(len, data.blocks())) >= 8


def _read_elsewhere(data, queue):
    queue.put(data.read(np.array([7, 3]))["input"])


def test_a_spawned_process_reads_the_same_without_the_array_travelling(save, counts):
    data = TensorFile(path=save(np.repeat(counts, 20, axis=0), "scan.npy"))
    data.read(np.arange(4))
    assert len(pickle.dumps(data)) < 10_000
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_read_elsewhere, args=(data, queue))
    child.start()
    values = queue.get(timeout=60)
    child.join()
    np.testing.assert_array_equal(values, data.read(np.array([7, 3]))["input"])


def test_the_file_is_let_go_and_opened_again(save, counts):
    path = save(counts, "scan.npy")
    data = TensorFile(path=path)
    data.close()
    save(counts + 1, "scan.npy")
    np.testing.assert_array_equal(data.read(np.array([0]))["input"][0, 0], counts[0] + 1)
    assert list(data.files) == [path]
    assert data.fingerprint() == TensorFile(path=path).fingerprint()
