"""What a dataset promises."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from stemcore.assemble.wiring import SPECIAL
from stemcore.component.dataset import Dataset
from stemcore.component.fields import FieldSpec
from stemcore.data.tensors import INDEX, to_tensors
from stemcore.errors import UserError
from stemcore.plugins.discovery import cause_of
from stemcore.testing.checks import dataset_processes, dataset_sources  # noqa: F401  promises of their own
from stemcore.testing.promises import Broken, NotApplicable, ensure, promise
from stemcore.testing.subject import Subject
from stemcore.testing.trial_dataset import (
    ensure_alike,
    ensure_declared,
    many_items,
    one_by_one,
    opened,
    read,
    some_items,
)


@promise("dataset")
def check_length(subject: Subject) -> None:
    """``len`` is the number of items, the same before and after reading: the split and the order of an epoch are made
    of it."""
    with opened(subject) as dataset:
        try:
            before = len(dataset)
        except (TypeError, ValueError) as error:
            raise Broken(f"it has no length: {error}") from error
        if before:
            dataset.read(np.array([0, before - 1]))
        ensure(len(dataset) == before, f"it had {before} items, and {len(dataset)} after two were read")


@promise("dataset")
def check_fields(subject: Subject) -> None:
    """``fields`` declares names that components can ask for, ``input`` first among them, with shapes and types that
    tensors can have: a model is built from them before anything is read."""
    with opened(subject) as dataset:
        fields = dataset.fields
        ensure(isinstance(fields, Mapping), f"fields is {type(fields).__name__}, not a mapping of names to FieldSpec")
        main = [name for name in fields if name == "input" or str(name).startswith("input_")]
        named = ", ".join(map(str, fields)) or "there are none"
        ensure(main, f"none of its fields is called 'input' (or 'input_a', 'input_b' where several are): {named}")
        for name, spec in fields.items():
            ensure(isinstance(spec, FieldSpec), f"field '{name}' is {type(spec).__name__}, not FieldSpec")
            ensure(spec.name == name, f"field '{name}' calls itself '{spec.name}'")
            ensure(name.isidentifier(), f"field '{name}': no parameter of a component can have that name")
            ensure(name not in (*SPECIAL, INDEX), f"field '{name}': that name is the core's own")
            ensure(spec.like is None or spec.like in fields, f"field '{name}' is like '{spec.like}', which is no field")
            _ensure_tensor(spec)


def _ensure_tensor(spec: FieldSpec) -> None:
    fits = isinstance(spec.shape, tuple) and all(n is None or (isinstance(n, int) and n >= 0) for n in spec.shape)
    ensure(fits, f"field '{spec.name}' has the shape {spec.shape!r}: right is a tuple of whole numbers and None")
    try:
        dtype = np.dtype(spec.dtype)
        to_tensors({spec.name: np.empty(0, dtype)})
    except Exception as error:
        raise Broken(f"field '{spec.name}' has the dtype {spec.dtype!r}, which no tensor has: {error}") from error
    ensure(spec.dtype == dtype.name, f"field '{spec.name}' has the dtype {spec.dtype!r}: call it '{dtype.name}'")
    is_mask = spec.name != "mask" or spec.dtype == "bool"
    ensure(is_mask, f"field 'mask' is {spec.dtype}: a mask is bool, true where a value counts")
    scaled = math.isfinite(spec.scale) and spec.scale != 0 and math.isfinite(spec.offset)
    ensure(scaled, f"field '{spec.name}' has the scale {spec.scale} and the offset {spec.offset}: no values come of it")


@promise("dataset")
def check_items_as_declared(subject: Subject) -> None:
    """``read`` returns the fields as declared, (n, *shape) in the stored type, also for no items at all: memory is
    planned and tensors are made by the declaration."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        ensure_declared(dataset, items, f"{len(items)} items")
        ensure_declared(dataset, items[:1], "one item")
        ensure_declared(dataset, items[:0], "no items")


@promise("dataset")
def check_reads_any_indices(subject: Subject) -> None:
    """``read`` of any indices (one, the last, repeated, in any order, all of them, of any whole type) gives the items
    that reading them one by one gives, each in its place: batches are shuffled."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        shuffled = np.random.default_rng(0).permutation(np.concatenate([items, items[::3]]))
        cases = {
            f"{len(items)} items": items,
            "the last item": items[-1:],
            "items in falling order": items[::-1].copy(),
            "items, each twice in a row": np.repeat(items, 2),
            "items in no order, some of them twice": shuffled,
            "items by int32 indices": items.astype(np.int32),
            "items among many": many_items(dataset),
        }
        for what, indices in cases.items():
            ensure_alike(dataset, read(dataset, indices, what), indices, expected, what)


@promise("dataset")
def check_reads_into_memory(subject: Subject) -> None:
    """``read_into`` leaves in the arrays that it is given what ``read`` returns, whatever was in them, and so does
    ``read_rows`` where it does not decline: batches are read into memory that was used before."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        for what, asked in (("items", items), ("items in falling order", items[::-1].copy())):
            out = {name: np.full_like(values, 1) for name, values in dataset.read(asked).items()}
            try:
                dataset.read_into(asked, out)
            except Exception as error:
                raise Broken(f"read_into of {what} raised {cause_of(error)}") from error
            ensure_alike(dataset, out, asked, expected, f"{what} into memory")
            rows = {name: [np.full_like(value, 1) for value in values] for name, values in out.items()}
            if dataset.read_rows(asked, rows):
                read = {name: np.stack(values) for name, values in rows.items()}
                ensure_alike(dataset, read, asked, expected, f"{what} into rows")


@promise("dataset")
def check_leaves_indices_alone(subject: Subject) -> None:
    """``read`` does not change the indices that it is given: the core labels what was read with them."""
    with opened(subject) as dataset:
        given = np.repeat(some_items(dataset)[::-1], 2)
        kept = given.copy()
        dataset.read(given)
        ensure(np.array_equal(given, kept), f"it was given the indices {kept[:6]}... and left {given[:6]}...")


@promise("dataset")
def check_results_are_its_own(subject: Subject) -> None:
    """What ``read`` returns belongs to the caller: it can be written to without changing what is read next, and reading
    on does not change it. Batches are read ahead while others are in use."""
    with opened(subject) as dataset:
        items = some_items(dataset)
        expected = one_by_one(dataset, items)
        kept = dataset.read(items)
        dataset.read(items[::-1].copy())
        ensure_alike(dataset, kept, items, expected, "items, kept while others were read")
        spoilt = dataset.read(items)
        for name, values in spoilt.items():
            ensure(values.flags.writeable, f"'{name}' cannot be written to: it is a view of what the data set holds")
            values.fill(not values.any())
        ensure_alike(dataset, dataset.read(items), items, expected, "items that were read and written to before")


@promise("dataset")
def check_blocks(subject: Subject) -> None:
    """``blocks`` has every item in exactly one block, and no block is empty: an epoch visits each item once, and
    ``split: block`` counts blocks."""
    with opened(subject) as dataset:
        count = len(dataset)
        if count == 0:
            raise NotApplicable("its example has no items")
        blocks = dataset.blocks()
        sequence = hasattr(blocks, "__len__") and hasattr(blocks, "__getitem__")
        ensure(sequence, f"blocks returned {type(blocks).__name__}, which is no sequence")
        for number, block in enumerate(blocks):
            ensure(isinstance(block, np.ndarray), f"block {number} is {type(block).__name__}, no NumPy array")
            flat = block.ndim == 1 and block.dtype.kind in "iu"
            ensure(flat, f"block {number} has shape {block.shape} and type {block.dtype}: right are (n,) whole numbers")
            ensure(len(block), f"block {number} is empty")
        listed = np.sort(np.concatenate([np.asarray(block, np.int64) for block in blocks]))
        strange = listed[(listed < 0) | (listed >= count)]
        ensure(not len(strange), f"item {strange[:1]} is in a block, there are {count} items")
        times = np.bincount(listed, minlength=count)
        ensure((times > 0).all(), f"item {np.argmin(times)} is in no block ({np.sum(times == 0)} of {count} are not)")
        ensure((times < 2).all(), f"item {np.argmax(times)} is in {times.max()} blocks")


@promise("dataset")
def check_scan_shape(subject: Subject) -> None:
    """Where there is a scan, its shape has as many positions as there are items: latents and reconstructions are
    written in it."""
    with opened(subject) as dataset:
        shape = dataset.scan_shape
        if shape is None:
            raise NotApplicable("it has no scan")
        whole = isinstance(shape, tuple) and all(isinstance(n, int) for n in shape)
        ensure(whole, f"scan_shape is {shape!r}, not a tuple of whole numbers")
        positions, count = math.prod(shape), len(dataset)
        ensure(positions == count, f"the scan {shape} has {positions} positions, there are {count} items")


@promise("dataset")
def check_values(subject: Subject) -> None:
    """``values`` of a field are those that reading all items gives, in order and of the type declared; a field that is
    not there is refused by ``UserError``. Samplers go by them."""
    with opened(subject) as dataset:
        items = many_items(dataset)
        if len(items) < len(dataset):
            raise NotApplicable("its example is too large to be read as a whole")
        expected = dataset.read(items)
        for name, spec in dataset.fields.items():
            if None not in spec.shape:
                _ensure_values(dataset, name, np.asarray(expected[name]))
        try:
            found = dataset.values("no such field")
        except UserError:
            return
        except Exception as error:
            raise Broken(f"values of a field that is not there raised {cause_of(error)}, not UserError") from error
        raise Broken(f"values of a field that is not there returned {type(found).__name__}, not UserError")


def _ensure_values(dataset: Dataset, name: str, expected: np.ndarray) -> None:
    try:
        found = dataset.values(name)
    except Exception as error:
        raise Broken(f"values of '{name}' raised {cause_of(error)}") from error
    ensure(isinstance(found, np.ndarray), f"values of '{name}' returned {type(found).__name__}, no NumPy array")
    of = f"values of '{name}' returned {found.dtype} {found.shape}, read {expected.dtype} {expected.shape}"
    ensure((found.dtype, found.shape) == (expected.dtype, expected.shape), of)
    number = found.dtype.kind == "f"
    differ = np.flatnonzero([not np.array_equal(a, b, equal_nan=number) for a, b in zip(found, expected, strict=True)])
    ensure(not len(differ), f"values of '{name}': that of item {differ[:1]} is another than what is read")


@promise("dataset")
def check_groups(subject: Subject) -> None:
    """Where there are groups, they are one whole number for each item: ``split: group`` keeps those of the same number
    together."""
    with opened(subject) as dataset:
        groups = dataset.groups
        if groups is None:
            raise NotApplicable("it has no groups")
        ensure(isinstance(groups, np.ndarray), f"groups is {type(groups).__name__}, no NumPy array")
        ensure(groups.shape == (len(dataset),), f"groups has shape {groups.shape}, not ({len(dataset)},)")
        ensure(groups.dtype.kind in "iu", f"groups has the type {groups.dtype}: right are whole numbers")


@promise("dataset")
def check_deterministic(subject: Subject) -> None:
    """Two data sets of one configuration are the same: items, blocks, scan and groups. A resumed run goes on where it
    was, and every process of several reads the same data."""
    with opened(subject) as first, opened(subject) as second:
        ensure(len(first) == len(second), f"it has {len(first)} items, built again {len(second)}")
        ensure(dict(first.fields) == dict(second.fields), "built again it declares other fields")
        ensure(first.scan_shape == second.scan_shape, f"scan_shape is {first.scan_shape}, then {second.scan_shape}")
        ensure(np.array_equal(first.groups, second.groups), "built again it has other groups")  # type: ignore[arg-type]
        items = some_items(first)
        ensure_alike(second, second.read(items), items, one_by_one(first, items), "items by another data set like it")
        pairs = list(zip(first.blocks(), second.blocks(), strict=False))
        same = len(first.blocks()) == len(second.blocks()) and all(np.array_equal(a, b) for a, b in pairs)
        ensure(same, "built again it has other blocks")
