from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from stem_datasets.handles import Handles
from stem_datasets.virtual import Segment, segments

from stemcore import UserError

IMAGE = (12, 10)


def source(path, name="patterns", shape=(40, *IMAGE)):
    return h5py.VirtualSource(str(path), name, shape)


@pytest.fixture
def virtual(tmp_path):
    """Writes a virtual dataset, of mappings (where, source), and gives its file."""

    def make(shape, *mappings, name="scan", file="virtual.h5", dtype="uint16", fillvalue=7, maxshape=None):
        layout = h5py.VirtualLayout(shape, dtype, maxshape=maxshape)
        for where, taken in mappings:
            layout[where] = taken
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "a") as opened:
            opened.create_virtual_dataset(name, layout, fillvalue=fillvalue)
        return path

    return make


def resolved(path, name="scan"):
    with h5py.File(path, "r") as file:
        return segments(file[name])


def checked(path, name="scan"):
    """The segments of a virtual dataset, having compared what they lead to with what HDF5 reads."""
    with h5py.File(path, "r") as file:
        dataset = file[name]
        found, whole, fill = segments(dataset), dataset[()], dataset.fillvalue
    assert found is not None
    items = whole.reshape(-1, *whole.shape[-2:])
    assert [part.start for part in found] == list(np.cumsum([0] + [part.count for part in found])[:-1])
    assert sum(part.count for part in found) == len(items)
    handles = Handles()
    for part in found:
        taken = np.full((part.count, *items.shape[1:]), fill, items.dtype)
        if part.path is not None:
            stored = handles.file(part.path)[part.name]
            assert not stored.is_virtual
            assert stored.dtype == items.dtype
            taken[:] = stored[()].reshape(-1, *items.shape[1:])[part.source_start : part.source_start + part.count]
        np.testing.assert_array_equal(taken, items[part.start : part.start + part.count])
    handles.close()
    return found


# ------------------------------------------------------------------ what is resolved


def test_files_one_after_the_other(write, virtual, counts, tmp_path):
    for number in range(3):
        write(f"data_{number}.h5", patterns=counts + number)
    path = virtual(
        (120, *IMAGE), *((slice(40 * n, 40 * n + 40), source(f"data_{n}.h5")) for n in range(3)), fillvalue=None
    )
    assert checked(path) == [Segment(40 * n, 40, tmp_path / f"data_{n}.h5", "patterns", 0) for n in range(3)]


def test_a_scan_over_files_of_a_row_each(write, virtual, counts, tmp_path):
    for row in range(4):
        write(f"row_{row}.h5", patterns=counts[:8] + row)
    path = virtual((4, 8, *IMAGE), *((row, source(f"row_{row}.h5", shape=(8, *IMAGE))) for row in range(4)))
    assert checked(path) == [Segment(8 * row, 8, tmp_path / f"row_{row}.h5", "patterns", 0) for row in range(4)]


def test_a_scan_over_files_that_end_within_rows(write, virtual, counts, tmp_path):
    """Four rows of 15, over two files of 40: the first ends after ten patterns of the third row."""
    write("one.h5", patterns=counts)
    write("two.h5", patterns=counts + 100)
    one, two = source("one.h5"), source("two.h5")
    mappings = [(row, one[15 * row : 15 * row + 15]) for row in range(2)]
    mappings += [((2, slice(0, 10)), one[30:]), ((2, slice(10, 15)), two[:5]), (3, two[5:20])]
    path = virtual((4, 15, *IMAGE), *mappings)
    assert checked(path) == [
        Segment(0, 40, tmp_path / "one.h5", "patterns", 0),
        Segment(40, 20, tmp_path / "two.h5", "patterns", 0),
    ]


def test_a_stack_over_a_scan(write, virtual, counts, tmp_path):
    write("scan.h5", patterns=counts.reshape(5, 8, *IMAGE))
    scan = source("scan.h5", shape=(5, 8, *IMAGE))
    path = virtual((20, *IMAGE), (slice(0, 3), scan[1, 5:]), (slice(3, 19), scan[2:4]), (19, scan[0, 0]))
    scan_path = tmp_path / "scan.h5"
    assert checked(path) == [Segment(0, 19, scan_path, "patterns", 13), Segment(19, 1, scan_path, "patterns", 0)]


def test_sources_of_one_pattern(write, virtual, counts, tmp_path):
    for number in range(6):
        write(f"frame_{number}.h5", entry__data=counts[number : number + 1])
    frames = [source(f"frame_{n}.h5", "entry/data", (1, *IMAGE)) for n in range(6)]
    path = virtual((2, 3, *IMAGE), *((divmod(n, 3), frame) for n, frame in enumerate(frames)))
    assert checked(path) == [Segment(n, 1, tmp_path / f"frame_{n}.h5", "entry/data", 0) for n in range(6)]


def test_thousands_of_mappings_to_neighbours_are_one_segment(write, virtual, counts, tmp_path):
    write("source.h5", patterns=np.resize(counts, (3000, *IMAGE)))
    every = source("source.h5", shape=(3000, *IMAGE))
    path = virtual((3000, *IMAGE), *((n, every[n]) for n in range(3000)))
    assert checked(path) == [Segment(0, 3000, tmp_path / "source.h5", "patterns", 0)]


def test_one_source_again_and_again_in_any_order(write, virtual, counts):
    write("source.h5", patterns=counts)
    path = virtual((60, *IMAGE), (slice(30, 60), source("source.h5")[5:35]), (slice(0, 30), source("source.h5")[10:40]))
    assert [(part.start, part.count, part.source_start) for part in checked(path)] == [(0, 30, 10), (30, 30, 5)]


def test_gaps_have_no_file(write, virtual, counts, tmp_path):
    write("source.h5", patterns=counts)
    some = source("source.h5")
    path = virtual((60, *IMAGE), (slice(5, 15), some[:10]), (slice(20, 50), some[10:]))
    assert checked(path) == [
        Segment(0, 5, None, "", 0),
        Segment(5, 10, tmp_path / "source.h5", "patterns", 0),
        Segment(15, 5, None, "", 0),
        Segment(20, 30, tmp_path / "source.h5", "patterns", 10),
        Segment(50, 10, None, "", 0),
    ]


def test_a_dataset_of_the_same_file(write, virtual, counts, tmp_path):
    path = write("virtual.h5", raw=counts)
    virtual((20, *IMAGE), (slice(None), source(path, "raw")[20:]))
    with h5py.File(path, "r") as file:
        assert file["scan"].virtual_sources()[0].file_name == "."
    assert checked(path) == [Segment(0, 20, path, "raw", 20)]


def test_virtual_sources_are_followed_to_where_the_values_are(write, virtual, counts, tmp_path):
    write("one.h5", patterns=counts)
    write("two.h5", patterns=counts + 100)
    virtual((70, *IMAGE), (slice(0, 40), source("one.h5")), (slice(45, 70), source("two.h5")[15:]), file="middle.h5")
    middle = source("middle.h5", "scan", (70, *IMAGE))
    path = virtual((3, 20, *IMAGE), (0, middle[35:55]), (1, middle[0:20]), (2, middle[50:70]))
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    assert checked(path) == [
        Segment(0, 5, one, "patterns", 35),
        Segment(5, 5, None, "", 0),
        Segment(10, 10, two, "patterns", 15),
        Segment(20, 20, one, "patterns", 0),
        Segment(40, 20, two, "patterns", 20),
    ]


def test_a_selection_that_is_no_box_but_a_run(write, virtual, counts, tmp_path):
    """Patterns 6 to 24 of rows of eight, in one mapping: the end of a row, two rows and the start of another."""
    write("source.h5", patterns=counts)
    place = h5py.h5s.create_simple((5, 8, *IMAGE))
    for how, start, size in (
        (h5py.h5s.SELECT_SET, (0, 6), (1, 2)),
        (h5py.h5s.SELECT_OR, (1, 0), (2, 8)),
        (h5py.h5s.SELECT_OR, (3, 0), (1, 1)),
    ):
        place.select_hyperslab((*start, 0, 0), (*size, *IMAGE), op=how)
    taken = h5py.h5s.create_simple((40, *IMAGE))
    taken.select_hyperslab((3, 0, 0), (19, *IMAGE))
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_virtual(place, b"source.h5", b"patterns", taken)
    path = tmp_path / "virtual.h5"
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((5, 8, *IMAGE))
        h5py.h5d.create(file.id, b"scan", h5py.h5t.STD_U16LE, space, create)
    assert checked(path)[1] == Segment(6, 19, tmp_path / "source.h5", "patterns", 3)


def test_one_simulated_scan_in_two_orders(shared_scan, tmp_path):
    with h5py.File(shared_scan, "r") as file:
        shape, dtype = file["patterns"].shape, file["patterns"].dtype
    half = shape[0] // 2
    layout = h5py.VirtualLayout(shape, dtype)
    taken = h5py.VirtualSource(str(shared_scan), "patterns", shape)
    layout[:half], layout[half:] = taken[half:], taken[:half]
    path = tmp_path / "virtual.h5"
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("scan", layout)
    assert checked(path) == [
        Segment(0, half, shared_scan, "patterns", half),
        Segment(half, half, shared_scan, "patterns", 0),
    ]


# ------------------------------------------------------------------ what is left to HDF5


def test_an_ordinary_dataset(write, counts):
    assert resolved(write(patterns=counts), "patterns") is None


def test_every_other_pattern(write, virtual, counts):
    write("source.h5", patterns=counts)
    strided = source("source.h5")
    assert resolved(virtual((40, *IMAGE), (slice(0, 40, 2), strided[:20]))) is None
    assert resolved(virtual((20, *IMAGE), (slice(None), strided[::2]), name="source"), "source") is None


def test_some_columns_of_a_scan(write, virtual, counts):
    write("source.h5", patterns=counts.reshape(5, 8, *IMAGE))
    scan = source("source.h5", shape=(5, 8, *IMAGE))
    assert resolved(virtual((5, 4, *IMAGE), (slice(None), scan[:, 2:6]))) is None


def test_part_of_the_detector(write, virtual, counts):
    write("source.h5", patterns=counts)
    assert resolved(virtual((40, 6, 10), (slice(None), source("source.h5")[:, :6]))) is None
    quarters = ((np.s_[:, :6], source("source.h5")[:, 6:]), (np.s_[:, 6:], source("source.h5")[:, :6]))
    assert resolved(virtual((40, *IMAGE), *quarters, name="quarters"), "quarters") is None


def test_another_type_or_byte_order(write, virtual, counts):
    write("source.h5", patterns=counts, swapped=counts.astype(">u2"))
    assert resolved(virtual((40, *IMAGE), (slice(None), source("source.h5")), dtype="uint32")) is None
    swapped = (slice(None), source("source.h5", "swapped"))
    assert resolved(virtual((40, *IMAGE), swapped, name="swapped"), "swapped") is None


def test_images_of_another_shape(write, virtual, counts):
    write("source.h5", patterns=counts.transpose(0, 2, 1))
    assert resolved(virtual((40, *IMAGE), (slice(None), source("source.h5", shape=(40, *IMAGE[::-1]))))) is None


def test_a_source_that_has_become_longer(write, virtual, counts):
    """HDF5 refuses to read it, as the whole source was mapped."""
    write("source.h5", patterns=counts)
    path = virtual((30, *IMAGE), (slice(None), source("source.h5", shape=(30, *IMAGE))))
    with h5py.File(path, "r") as file, pytest.raises(OSError, match="different number of elements"):
        file["scan"][()]
    assert resolved(path) is None


def test_an_image_per_file_without_an_axis_that_counts(write, virtual, counts):
    write("source.h5", image=counts[0])
    assert resolved(virtual((2, *IMAGE), (0, source("source.h5", "image", IMAGE)))) is None


def test_a_pattern_that_two_mappings_give(write, virtual, counts):
    write("source.h5", patterns=counts)
    given = source("source.h5")
    assert resolved(virtual((40, *IMAGE), (slice(0, 21), given[:21]), (slice(20, 40), given[:20]))) is None


def test_a_source_that_grows(write, virtual, counts):
    write("source.h5", patterns=counts, options={"maxshape": (None, *IMAGE), "chunks": (8, *IMAGE)})
    endless = slice(0, h5py.h5s.UNLIMITED)
    growing = h5py.VirtualSource("source.h5", "patterns", (40, *IMAGE), maxshape=(None, *IMAGE))
    path = virtual((40, *IMAGE), (endless, growing[endless]), maxshape=(None, *IMAGE))
    assert resolved(path) is None


def test_sources_by_number(write, virtual, counts, tmp_path):
    for number in range(2):
        write(f"data_{number}.h5", patterns=counts)
    place = h5py.h5s.create_simple((80, *IMAGE), (h5py.h5s.UNLIMITED, *IMAGE))
    place.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), stride=(40, 1, 1), block=(40, *IMAGE))
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_virtual(place, b"data_%b.h5", b"patterns", h5py.h5s.create_simple((40, *IMAGE)))
    path = tmp_path / "virtual.h5"
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((80, *IMAGE), (h5py.h5s.UNLIMITED, *IMAGE))
        h5py.h5d.create(file.id, b"scan", h5py.h5t.STD_U16LE, space, create)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(file["scan"][40:], counts)
    assert resolved(path) is None


def test_virtual_datasets_that_never_end(virtual, tmp_path):
    path = virtual((40, *IMAGE), (slice(None), source(tmp_path / "virtual.h5", "scan")))
    assert resolved(path) is None


def test_a_virtual_source_with_gaps_of_another_value(write, virtual, counts):
    write("source.h5", patterns=counts)
    virtual((50, *IMAGE), (slice(0, 40), source("source.h5")), file="middle.h5", fillvalue=3)
    middle = source("middle.h5", "scan", (50, *IMAGE))
    assert len(checked(virtual((40, *IMAGE), (slice(None), middle[:40]), name="without"), "without")) == 1
    assert resolved(virtual((45, *IMAGE), (slice(None), middle[:45]), name="with"), "with") is None


# ------------------------------------------------------------------ what HDF5 would read without a word


def test_a_missing_source_is_refused(virtual):
    path = virtual((40, *IMAGE), (slice(None), source("gone.h5")))
    with pytest.raises(UserError, match=r"virtual\.h5: dataset 'scan' is virtual and its source gone\.h5 is missing"):
        resolved(path)


def test_a_missing_dataset_is_refused(write, virtual, counts):
    write("source.h5", other=counts)
    with pytest.raises(UserError, match="there is no source 'patterns'"):
        resolved(virtual((40, *IMAGE), (slice(None), source("source.h5"))))


def test_a_truncated_source_is_refused(write, virtual, counts):
    cut = write("source.h5", patterns=counts)
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"source\.h5: truncated"):
        resolved(virtual((40, *IMAGE), (slice(None), source("source.h5"))))


def test_a_source_with_too_few_patterns_is_refused(write, virtual, counts):
    write("source.h5", patterns=counts[:30])
    path = virtual((40, *IMAGE), (slice(None), source("source.h5")[:40]))
    with pytest.raises(UserError, match=r"source 'patterns' of a virtual dataset holds 30 patterns.* takes 40"):
        resolved(path)


def test_more_sources_than_are_held_open(write, virtual, counts):
    for number in range(70):
        write(f"d/{number}.h5", patterns=counts[:1] + number)
    taken = [source(f"d/{n}.h5", shape=(1, *IMAGE)) for n in range(70)]
    path = virtual((70, *IMAGE), *((n, one) for n, one in enumerate(taken)))
    assert [Path(part.path).stem for part in checked(path)] == [str(n) for n in range(70)]
