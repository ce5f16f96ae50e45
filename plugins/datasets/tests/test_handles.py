import multiprocessing
import os
import pickle

import h5py
import numpy as np
import pytest
from stem_datasets import handles
from stem_datasets.handles import Handles

from stemcore import UserError


def test_a_file_is_opened_once_and_again_after_close(write, counts):
    path = write(patterns=counts)
    files = Handles()
    first = files.file(path)
    assert files.file(path) is first
    files.close()
    assert not first
    assert files.file(path)["patterns"].shape == counts.shape


def test_only_so_many_files_stay_open(write, counts, monkeypatch):
    monkeypatch.setattr(handles, "MOST_OPEN", 2)
    paths = [write(f"{n}.h5", patterns=counts) for n in range(3)]
    files = Handles()
    opened = [files.file(path) for path in paths]
    assert [bool(file) for file in opened] == [False, True, True]
    np.testing.assert_array_equal(files.dataset(paths[0], "patterns")[3], counts[3])
    assert [bool(file) for file in opened] == [False, False, True]


def test_a_dataset_is_found_once_and_again_after_close(write, counts):
    path = write(patterns=counts)
    files = Handles()
    first = files.dataset(path, "patterns")
    assert files.dataset(path, "patterns") is first
    files.close()
    assert not first
    np.testing.assert_array_equal(files.dataset(path, "patterns")[3], counts[3])


def test_handles_do_not_travel(write, counts):
    path = write(patterns=counts)
    files = Handles()
    files.file(path)
    copy = pickle.loads(pickle.dumps(files))
    assert copy.file(path) is not files.file(path)


def _opened_anew(files, path, parents_id, queue):
    queue.put((files.file(path).id.id != parents_id or files._process == os.getpid(), files._process))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_forked_process_opens_its_own(write, counts):
    path = write(patterns=counts)
    files = Handles()
    before = files.file(path)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_opened_anew, args=(files, path, before.id.id, queue))
    child.start()
    own, process = queue.get(timeout=30)
    child.join()
    assert own
    assert process == child.pid != os.getpid()
    assert before  # still open here


def test_a_truncated_file_is_called_so(write, counts):
    path = write(patterns=counts)
    with path.open("r+b") as raw:
        raw.truncate(path.stat().st_size // 2)
    with pytest.raises(UserError, match=r"truncated: only .* bytes"):
        Handles().file(path)


@pytest.mark.parametrize(("content", "says"), [(b"", "empty, not an HDF5 file"), (b"words " * 900, "not an HDF5 file")])
def test_what_is_not_hdf5_is_called_so(tmp_path, content, says):
    path = tmp_path / "scan.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        Handles().file(path)


def _write_until_told(path, ready, done):
    with h5py.File(path, "a"):
        ready.set()
        done.wait(30)


def test_a_file_being_written_is_called_locked(write, counts):
    path = write(patterns=counts)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    writer = context.Process(target=_write_until_told, args=(path, ready, done))
    writer.start()
    assert ready.wait(60)
    try:
        with pytest.raises(UserError, match="locked: another program"):
            Handles().file(path)
    finally:
        done.set()
        writer.join()
