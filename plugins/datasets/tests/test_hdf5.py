import multiprocessing
import pickle

import h5py
import numpy as np
import pytest
from stem_datasets.hdf5 import Hdf5

from stemcore import FieldSpec, UserError


def test_the_patterns_of_a_file(write, counts):
    path = write(patterns=counts, attrs={"scan_shape": [5, 8]})
    data = Hdf5(path=path)
    assert len(data) == 40
    assert data.scan_shape == (5, 8)
    assert data.groups is None
    assert list(data.files) == [path]
    assert dict(data.fields) == {
        "input": FieldSpec("input", (1, 12, 10), "uint16", "counts", minimum=0.0, implicit_channel=True)
    }
    values = data.read(np.arange(40))["input"]
    assert values.dtype == np.uint16
    assert values.flags.writeable
    np.testing.assert_array_equal(values[:, 0], counts)


@pytest.mark.parametrize("options", [{}, {"chunks": (16, 12, 10), "compression": "gzip"}, {"chunks": (3, 6, 10)}])
@pytest.mark.parametrize("indices", [[], [39], [5, 4, 3], [0, 39, 0, 17, 17], list(range(40)), list(range(39, -1, -1))])
def test_any_indices_are_read_as_one_by_one(write, counts, options, indices):
    labels = np.arange(40) * 3 - 1
    mask = np.random.default_rng(1).random((40, 12, 10)) > 0.2
    data = Hdf5(path=write(patterns=counts, m=mask, l=labels, options=options), mask="m", labels="l")
    together = data.read(np.array(indices))
    one_by_one = [data.read(np.array([i])) for i in indices]
    for name, spec in data.fields.items():
        assert together[name].shape == (len(indices), *spec.shape)
        assert together[name].dtype == spec.dtype
        for position, single in enumerate(one_by_one):
            np.testing.assert_array_equal(together[name][position], single[name][0])
    np.testing.assert_array_equal(together["input"][:, 0], counts[indices])
    np.testing.assert_array_equal(together["mask"][:, 0], mask[indices])
    np.testing.assert_array_equal(together["label"], labels[indices])


def test_an_index_outside_is_an_error(write, counts):
    data = Hdf5(path=write(patterns=counts))
    for index in (-1, 40):
        with pytest.raises(IndexError, match="there are 40 items"):
            data.read(np.array([0, index]))


def test_one_mask_is_given_to_every_pattern(write, counts):
    mask = np.random.default_rng(1).random((12, 10)) > 0.5
    data = Hdf5(path=write(patterns=counts, m=mask), mask="m")
    assert data.fields["mask"] == FieldSpec("mask", (1, 12, 10), "bool", like="input", implicit_channel=True)
    values = data.read(np.array([3, 1]))["mask"]
    np.testing.assert_array_equal(values, np.broadcast_to(mask, (2, 1, 12, 10)))
    values[0] = True  # an augmentation may change it
    assert not values[1].all()


def test_the_truth_is_nan_where_it_is_not_known(write, counts):
    truth = np.random.default_rng(1).random((3, 12, 10)).astype(np.float16)
    path = write(patterns=counts, truth=truth, which=[30, 4, 12])
    data = Hdf5(path=path, expected="truth", expected_index="which", expected_scale=2e4)
    spec = data.fields["expected"]
    assert (spec.like, spec.dtype, spec.scale, spec.unit, spec.finite) == ("input", "float32", 2e4, "counts", False)
    values = data.read(np.array([12, 0, 30, 4, 5, 12]))["expected"][:, 0]
    np.testing.assert_array_equal(values[[0, 2, 3, 5]], truth[[2, 0, 1, 2]].astype(np.float32))
    assert np.isnan(values[[1, 4]]).all()
    none = data.read(np.array([0, 1]))["expected"]
    assert none.shape == (2, 1, 12, 10)
    assert np.isnan(none).all()


def test_an_index_of_the_truth_needs_the_truth(write, counts):
    with pytest.raises(UserError, match="'expected_index' is given without 'expected'"):
        Hdf5(path=write(patterns=counts), expected_index="which")


def test_quantised_data_carry_their_scale(write, counts):
    path = write(patterns=counts)
    with h5py.File(path, "a") as file:
        file["patterns"].attrs.update(data_min=-1.0, data_range=5.0)
    spec = Hdf5(path=path).fields["input"]
    assert (spec.scale, spec.offset, spec.unit, spec.minimum) == (5.0 / 65535, -1.0, None, None)
    plain = Hdf5(path=path, dequantise=False).fields["input"]
    assert (plain.scale, plain.offset, plain.unit, plain.minimum) == (1.0, 0.0, "counts", 0.0)


def test_booleans_are_read_as_numbers(write, counts):
    data = Hdf5(path=write(patterns=counts > 3))
    assert data.fields["input"].dtype == "uint8"
    np.testing.assert_array_equal(data.read(np.arange(40))["input"][:, 0], (counts > 3).astype(np.uint8))


def test_a_scan_of_four_axes_in_chunks_of_several_rows(write, counts):
    path = write(patterns=counts.reshape(5, 8, 12, 10), options={"chunks": (2, 4, 12, 10), "compression": "gzip"})
    data = Hdf5(path=path)
    assert (len(data), data.scan_shape) == (40, (5, 8))
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(data.read(order)["input"][:, 0], counts[order])
    assert data.blocks()[0].tolist() == list(range(16))


def test_a_single_pattern_may_be_applied_to(write, counts):
    data = Hdf5(path=write(patterns=counts[:1]))
    assert len(data) == 1
    assert [b.tolist() for b in data.blocks()] == [[0]]


def test_several_files_are_one_data_set(write, counts):
    for name, part in (("b.h5", slice(10, 40)), ("a.h5", slice(0, 10))):
        write(f"several/{name}", patterns=counts[part], g=np.arange(40)[part] // 4, attrs={"scan_shape": [5, 2]})
    folder = write().parent / "several"
    data = Hdf5(path=folder / "*.h5", dataset="patterns")
    assert [f.name for f in data.files] == ["a.h5", "b.h5"]
    assert (len(data), data.scan_shape) == (40, None)
    order = np.random.default_rng(0).integers(0, 40, 60)
    np.testing.assert_array_equal(data.read(order)["input"][:, 0], counts[order])
    blocks = data.blocks()
    np.testing.assert_array_equal(np.sort(np.concatenate(blocks)), np.arange(40))
    assert all((b < 10).all() or (b >= 10).all() for b in blocks)
    assert data.groups.tolist() == [0] * 10 + [1] * 30
    named = Hdf5(path=[folder / "a.h5", folder / "b.h5"], groups="g", scan_shape=[5, 8])
    np.testing.assert_array_equal(named.groups, np.arange(40) // 4)
    assert named.scan_shape == (5, 8)
    with pytest.raises(UserError, match="there are 40 patterns"):
        Hdf5(path=folder / "*.h5", scan_shape=[5, 2])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c[:, :6], "shape"),
        (lambda c: c.astype(np.uint8), "type"),
    ],
)
def test_files_that_do_not_go_together_are_named(write, counts, change, says):
    first, second = write("1.h5", patterns=counts), write("2.h5", patterns=change(counts))
    with pytest.raises(UserError, match=f"its patterns have the {says}") as error:
        Hdf5(path=[first, second])
    assert str(first) in str(error.value)
    assert str(second) in str(error.value)


def test_files_of_another_scale_do_not_go_together(write, counts):
    first, second = write("1.h5", patterns=counts), write("2.h5", patterns=counts)
    with h5py.File(second, "a") as file:
        file["patterns"].attrs["scale_factor"] = 2.0
    with pytest.raises(UserError, match="scale and offset"):
        Hdf5(path=[first, second])


def test_a_corrupted_chunk_is_named_and_can_be_skipped(write, spoil, counts):
    path = write(patterns=counts, options={"chunks": (4, 12, 10), "compression": "gzip"}, attrs={"scan_shape": [5, 8]})
    spoil(path, (16, 0, 0))
    with pytest.raises(UserError, match=r"pattern 18 \(chunk 4\) of dataset 'patterns' cannot be read"):
        Hdf5(path=path).read(np.array([18, 2]))
    around = np.array([15, 20])
    np.testing.assert_array_equal(Hdf5(path=path).read(around)["input"][:, 0], counts[around])
    sound = Hdf5(path=path, skip_unreadable=True)
    assert (len(sound), sound.scan_shape) == (36, None)
    left = np.r_[0:16, 20:40]
    np.testing.assert_array_equal(sound.read(np.arange(36))["input"][:, 0], counts[left])
    np.testing.assert_array_equal(np.sort(np.concatenate(sound.blocks())), np.arange(36))


def test_skipping_changes_nothing_in_a_sound_file(write, counts):
    data = Hdf5(path=write(patterns=counts, attrs={"scan_shape": [5, 8]}), skip_unreadable=True)
    assert (len(data), data.scan_shape) == (40, (5, 8))


def test_no_file_stays_open_after_construction_or_close(write, counts):
    path = write(patterns=counts)
    data = Hdf5(path=path)
    data.read(np.arange(3))
    data.close()
    with h5py.File(path, "a") as file:  # HDF5 refuses this while the file is open for reading
        file["patterns"][0] = 7
    assert (data.read(np.array([0]))["input"] == 7).all()


def _read_elsewhere(data, indices, queue):
    queue.put(data.read(indices)["input"])


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_another_process_reads_the_same(write, counts, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"needs {method}")
    data = Hdf5(path=write(patterns=counts, options={"chunks": (4, 12, 10), "compression": "gzip"}))
    data.read(np.arange(4))
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_read_elsewhere, args=(data, np.array([7, 3]), queue))
    child.start()
    values = queue.get(timeout=60)
    child.join()
    np.testing.assert_array_equal(values[:, 0], counts[[7, 3]])
    np.testing.assert_array_equal(data.read(np.array([9]))["input"][0, 0], counts[9])


def test_a_pickled_data_set_is_small_and_whole(write, counts):
    data = Hdf5(path=write(patterns=counts))
    data.read(np.arange(4))
    packed = pickle.dumps(data)
    assert len(packed) < 10_000
    np.testing.assert_array_equal(pickle.loads(packed).read(np.array([2]))["input"][0, 0], counts[2])


def test_the_fingerprint_follows_the_data(write, counts):
    path = write(patterns=counts, l=np.arange(40))
    first = Hdf5(path=path).fingerprint()
    assert Hdf5(path=path).fingerprint() == first
    assert Hdf5(path=path, labels="l").fingerprint() != first
    write(patterns=counts + 1, l=np.arange(40))
    assert Hdf5(path=path).fingerprint() != first


def test_a_real_scan(shared_scan):
    data = Hdf5(
        path=shared_scan, labels="labels", expected="expected", expected_index="expected_index", expected_scale=2e4
    )
    assert (len(data), data.scan_shape, data.fields["input"].shape) == (4096, (64, 64), (1, 128, 128))
    assert [len(b) for b in data.blocks()] == [16] * 256
    indices = np.array([4095, 0, 33, 32, 2048, 0])
    values = data.read(indices)
    with h5py.File(shared_scan) as file:
        np.testing.assert_array_equal(values["input"][:, 0], np.stack([file["patterns"][i] for i in indices]))
        np.testing.assert_array_equal(values["label"], file["labels"][()].ravel()[indices])
        truth = {int(i): row for row, i in enumerate(file["expected_index"][()])}
        for position, index in enumerate(indices):
            if index in truth:
                np.testing.assert_array_equal(values["expected"][position, 0], file["expected"][truth[index]])
            else:
                assert np.isnan(values["expected"][position]).all()
