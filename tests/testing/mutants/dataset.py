"""Data sets broken in one way each."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from stemcore import FieldSpec
from tests.testing.mutants import broken_reading as reading
from tests.testing.mutants import broken_sources as sources
from tests.testing.mutants.sound_datasets import SOUND, frames
from tests.testing.mutation import Mutant

__all__ = ["MUTANTS", "SOUND"]

INPUT = FieldSpec("input", (1, 6, 5), "uint16")


def swapped_bytes(rows):
    return {**rows, "input": rows["input"].astype(">u2")}


def whole(count: int) -> np.ndarray:
    return np.arange(count)


BROKEN = [
    ("check_length", reading.HalfAnItem, "it has no length: 'float' object cannot be interpreted as an integer"),
    ("check_length", reading.Growing, "it had 30 items, and 31 after two were read"),
    ("check_fields", reading.ListOfFields, "fields is list, not a mapping"),
    (
        "check_fields",
        reading.declaring(input=None, image=replace(INPUT, name="image")),
        "called 'input' .*: mask, image",
    ),
    ("check_fields", reading.declaring(input=replace(INPUT, name="image")), "field 'input' calls itself 'image'"),
    ("check_fields", reading.declaring(input=(1, 6, 5)), "field 'input' is tuple, not FieldSpec"),
    ("check_fields", reading.declaring(index=FieldSpec("index", ())), "field 'index': that name is the core's own"),
    ("check_fields", reading.declaring(**{"dark-field": FieldSpec("dark-field", ())}), "'dark-field': no parameter"),
    (
        "check_fields",
        reading.declaring(mask=FieldSpec("mask", (1, 6, 5), "bool", like="image")),
        "like 'image', which is no",
    ),
    (
        "check_fields",
        reading.declaring(input=replace(INPUT, shape=[1, 6, 5])),
        r"has the shape \[1, 6, 5\]: right is a tuple",
    ),
    ("check_fields", reading.declaring(name=FieldSpec("name", (), "<U8")), "dtype '<U8', which no tensor has"),
    ("check_fields", reading.declaring(input=replace(INPUT, dtype=">u2")), "dtype '>u2', which no tensor has"),
    ("check_fields", reading.declaring(input=replace(INPUT, dtype="u2")), "dtype 'u2': call it 'uint16'"),
    (
        "check_fields",
        reading.declaring(mask=FieldSpec("mask", (1, 6, 5), "uint8")),
        "field 'mask' is uint8: a mask is bool",
    ),
    ("check_fields", reading.declaring(input=replace(INPUT, scale=0.0)), "scale 0.0 and the offset 0.0"),
    ("check_items_as_declared", reading.returning(lambda rows: list(rows.values())), "returned list, not a mapping"),
    (
        "check_items_as_declared",
        reading.returning(lambda rows: {**rows, "dark": rows["mask"]}),
        r"returned \['dark', 'input'",
    ),
    (
        "check_items_as_declared",
        reading.returning(lambda rows: {"input": rows["input"]}),
        r"returned \['input'\], fields dec",
    ),
    (
        "check_items_as_declared",
        reading.returning(lambda rows: {**rows, "mask": rows["mask"].tolist()}),
        "'mask' is list",
    ),
    (
        "check_items_as_declared",
        reading.returning(lambda rows: {n: v[:, 0] for n, v in rows.items()}),
        r"of 24 items: 'input' has shape \(24, 6, 5\), not \(24, 1, 6, 5\)",
    ),
    ("check_items_as_declared", reading.NothingOfNothing, r"of no items: 'input' has shape \(0,\), not \(0, 1, 6, 5\)"),
    (
        "check_items_as_declared",
        reading.Stacked,
        "read of no items raised ValueError: need at least one array to concatenate",
    ),
    (
        "check_items_as_declared",
        reading.returning(lambda rows: {n: v / 2 for n, v in rows.items()}),
        "declared is uint16",
    ),
    ("check_items_as_declared", reading.returning(swapped_bytes), r"'input' is >u2 .* declared is uint16"),
    ("check_reads_any_indices", reading.InFileOrder, "read of items in falling order: 'input' of item 29 is another"),
    (
        "check_reads_any_indices",
        reading.EachOnce,
        "read of items, each twice in a row gave 24 values of 'input' for 48 items",
    ),
    ("check_reads_any_indices", reading.Swapped, "read of items in no order, some of them twice: 'input' of item"),
    ("check_reads_any_indices", reading.BytesOfIndices, "read of items by int32 indices raised ValueError"),
    ("check_reads_into_memory", reading.HalfInto, "read of items into memory: 'mask' of item"),
    ("check_reads_into_memory", reading.RowsOfOthers, "read of items in falling order into rows: '[a-z]*' of item"),
    ("check_reads_into_memory", reading.IntoItsOwn, r"read_into of items raised TypeError"),
    ("check_leaves_indices_alone", reading.SortsIndices, r"was given the indices \[29 29 27.* and left \[0 0 1"),
    ("check_results_are_its_own", reading.OneBuffer, "read of items, kept while others were read: 'input' of item 0"),
    (
        "check_results_are_its_own",
        reading.Remembering,
        "read of items that were read and written to before: 'input' of item",
    ),
    ("check_results_are_its_own", reading.ReadOnly, "'input' cannot be written to"),
    ("check_blocks", reading.in_blocks(lambda n: iter([whole(n)])), "returned list_iterator, which is no sequence"),
    ("check_blocks", reading.in_blocks(lambda n: [range(n)]), "block 0 is range, no NumPy array"),
    ("check_blocks", reading.in_blocks(lambda n: [whole(n)[None]]), r"block 0 has shape \(1, 30\) and type int64"),
    ("check_blocks", reading.in_blocks(lambda n: [whole(n) / 1]), "type float64"),
    ("check_blocks", reading.in_blocks(lambda n: [whole(n), whole(0)]), "block 1 is empty"),
    ("check_blocks", reading.in_blocks(lambda n: [whole(n + 1)]), r"item \[30\] is in a block, there are 30 items"),
    ("check_blocks", reading.in_blocks(lambda n: [whole(n // 7 * 7)]), r"item 28 is in no block \(2 of 30 are not\)"),
    ("check_blocks", reading.in_blocks(lambda n: [whole(n), whole(3)]), "item 0 is in 2 blocks"),
    ("check_scan_shape", reading.with_scan((6, 6)), r"the scan \(6, 6\) has 36 positions, there are 30 items"),
    ("check_scan_shape", reading.with_scan([6, 5]), r"scan_shape is \[6, 5\], not a tuple of whole numbers"),
    ("check_values", reading.with_values(reading.as_list), "values of 'input' returned list, no NumPy array"),
    ("check_values", reading.with_values(reading.unshaped), r"returned uint16 \(30, 30\), read uint16 \(30, 1, 6, 5\)"),
    ("check_values", reading.with_values(reading.backwards), r"values of 'input': that of item \[0\] is another"),
    ("check_values", reading.with_values(reading.held_alone), "a field that is not there raised KeyError"),
    (
        "check_values",
        reading.with_values(reading.anything),
        "a field that is not there returned ndarray, not UserError",
    ),
    ("check_groups", reading.with_groups([0] * 30), "groups is list, no NumPy array"),
    ("check_groups", reading.with_groups(np.arange(6)), r"groups has shape \(6,\), not \(30,\)"),
    ("check_groups", reading.with_groups(np.full(30, np.nan)), "groups has the type float64"),
    ("check_deterministic", reading.Noisy, "read of items by another data set like it: 'input' of item 0"),
    ("check_deterministic", reading.BlocksInNoOrder, "built again it has other blocks"),
    (
        "check_any_thread",
        reading.Database,
        "read by another thread it raised ProgrammingError: SQLite objects created in a",
    ),
    ("check_any_thread", reading.PerThread, "read of items by another thread: 'input' of item 0 is another"),
    (
        "check_several_threads",
        reading.OneFileForAll,
        "read of items by several threads at once: '(input|mask)' of item",
    ),
    (
        "check_several_threads",
        reading.FirstComeFirstServed,
        "read by several threads at once it raised RuntimeError: is being read",
    ),
    (
        "check_pickles_while_open",
        reading.PicklesItsFile,
        "cannot be pickled once it was read: TypeError: cannot pickle",
    ),
    ("check_pickles_while_open", reading.HalfAState, "unpickled it raised AttributeError: .* no attribute 'image'"),
    ("check_pickles_while_open", reading.ClosedByPickling, "ValueError: seek of closed file"),
    (
        "check_two_processes",
        reading.Locking,
        "read by another process while this one reads: UserError: .* another program",
    ),
    ("check_two_processes", reading.Registered, "while this one reads: KeyError"),
    ("check_two_processes", reading.InThisProcess, "read of items by another process: 'input' of item 0 is another"),
    ("check_closes_its_files", sources.LeftOpen, "scan.frames is still open after close"),
    ("check_closes_its_files", sources.Mapped, "scan.frames is still open after close"),
    ("check_reads_again_after_close", sources.ClosedOnce, "closed and read again it raised AttributeError"),
    (
        "check_reads_again_after_close",
        sources.ClosedForGood,
        "closed and read again it raised ValueError: seek of closed file",
    ),
    (
        "check_broken_sources",
        sources.WhateverTheFileRaises,
        "a missing file: it raised FileNotFoundError.*, not UserError",
    ),
    ("check_broken_sources", sources.MissingIsTold, "an empty directory: it raised IsADirectoryError.*, not UserError"),
    (
        "check_broken_sources",
        sources.FoldersAreTold,
        "an empty file: it raised error: unpack requires .*, not UserError",
    ),
    ("check_broken_sources", sources.Lazy, "a missing file: it is built all the same"),
    (
        "check_broken_sources",
        sources.LazyAboutContent,
        "a file of garbage: it is built all the same, and reading item 0 raises",
    ),
    ("check_broken_sources", sources.NeverMindTheSize, "the first half of the file: reading item 29 raised ValueError"),
    ("check_broken_sources", sources.AnyColumns, "rows that are not full: it is built all the same"),
    ("check_fingerprint_is_stable", sources.fingerprinted(lambda self: 7), "fingerprint returned 7, not text"),
    (
        "check_fingerprint_is_stable",
        sources.fingerprinted(lambda self: str(self._file)),
        "another one after it was read",
    ),
    (
        "check_fingerprint_is_stable",
        sources.fingerprinted(lambda self: f"{id(self)}"),
        "another data set of the same config",
    ),
    (
        "check_fingerprint_is_stable",
        sources.fingerprinted(lambda self: str(time.perf_counter_ns())),
        "another one after it was read",
    ),
    (
        "check_fingerprint_notices_changes",
        sources.fingerprinted(lambda self: "1.0"),
        "the same after scan.frames was changed",
    ),
    (
        "check_fingerprint_notices_changes",
        sources.NoFiles,
        "the same after scan.frames was changed: 'files' names none",
    ),
    (
        "check_fingerprint_notices_changes",
        sources.fingerprinted(lambda self: str(self.path.stat().st_size)),
        "the same after scan.frames was changed",
    ),
    ("check_elsewhere", sources.SamePath, "returned a data set for a path where nothing is"),
    (
        "check_elsewhere",
        sources.NotThere,
        "elsewhere raised FileNotFoundError.*, not UserError, for a path where nothing is",
    ),
    (
        "check_elsewhere",
        sources.OnlyItsOwnPath,
        "raised UserError: it does not read other data .* for a copy of its own data",
    ),
    ("check_elsewhere", sources.FromTheSecond, "read of an item of a copy, by elsewhere: 'input' of item 0"),
]
MUTANTS = [
    *(Mutant(check, broken, says, frames) for check, broken, says in BROKEN),
    Mutant(
        "check_fingerprint_notices_changes",
        sources.WithCalibration,
        "after scan.gain was changed",
        sources.with_calibration,
    ),
]
