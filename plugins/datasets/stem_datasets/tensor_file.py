"""Arrays in files of PyTorch and NumPy, opened without running anything that is in them."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stemcore import UserError

TORCH, NUMPY = (".pt", ".pth"), (".npy", ".npz")


def open_array(path: Path, key: str | None) -> np.ndarray | Tensor:
    """The array in a file, mapped into memory where the format allows.

    Args:
        path: a .pt, .pth, .npy or .npz file.
        key: name of the array, in a file that holds several.

    Returns:
        A NumPy array, or for bfloat16, which NumPy lacks, a tensor.

    Raises:
        UserError: for a damaged file, one whose content would have to be run, or one without such an array.
    """
    suffix = path.suffix.lower()
    if suffix not in TORCH + NUMPY:
        raise UserError(
            f"has the suffix '{path.suffix}'", where=str(path), hint=f"right are {', '.join(TORCH + NUMPY)}"
        )
    if not path.stat().st_size:
        raise UserError("empty, not a tensor file", where=str(path), hint="copy it again")
    content = _torch_content(path) if suffix in TORCH else _numpy_content(path)
    return _dense(_chosen(content, key, path), path)


def _torch_content(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # What torch has to say about pickle protocols and TorchScript, the errors below say in plain words.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise _refusal(str(error), path) from error
    except Exception as error:  # the reader raises RuntimeError, EOFError, KeyError, ... for damaged files
        if "TorchScript" in str(error):
            raise _refusal("GLOBAL TorchScript", path) from error
        raise UserError("damaged, or not a file of torch.save", where=str(path), hint="copy it again") from error


def _refusal(reason: str, path: Path) -> UserError:
    code = re.search(r"GLOBAL ([\w.]+)", reason)
    if code is None:
        return UserError(
            "not a file of torch.save", where=str(path), hint="save the tensor by torch.save(tensor, path)"
        )
    return UserError(
        f"refused: it holds more than tensors ({code[1]}), and loading that could run code",
        where=str(path),
        hint="save the tensor alone by torch.save(tensor, path)",
    )


def _numpy_content(path: Path) -> Any:
    if path.suffix.lower() == ".npz":
        return _archive(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _not_numpy(error, path) from error


def _archive(path: Path) -> Mapping[str, np.ndarray]:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise _not_numpy(error, path) from error


def _not_numpy(error: Exception, path: Path) -> UserError:
    reason = str(error).lower()
    if "python object" in reason or "object arrays" in reason:
        return UserError(
            "refused: it holds Python objects, and loading them could run code",
            where=str(path),
            hint="save an array of numbers",
        )
    if "allow_pickle" in reason or "magic" in reason:
        return UserError("not a file of numpy.save", where=str(path), hint="save the array by numpy.save(path, array)")
    return UserError(f"damaged or truncated: {str(error).splitlines()[0]}", where=str(path), hint="copy it again")


def _chosen(content: Any, key: str | None, path: Path) -> Any:
    if not isinstance(content, Mapping):
        if key is not None:
            raise UserError(f"there is no key '{key}': it holds one array", where=str(path), hint="leave 'key' out")
        return content
    names = [str(name) for name in content]
    if key is None and len(names) == 1:
        key = names[0]
    if key not in names:
        what = "it holds several arrays" if key is None else f"there is no key '{key}'"
        near = get_close_matches(key or "", names, n=1)
        guess = f"did you mean '{near[0]}'? " if near else ""
        raise UserError(what, where=str(path), hint=f"{guess}'key' is to be one of: {', '.join(names)}")
    try:
        return content[key]
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise _not_numpy(error, path) from error


def _dense(array: Any, path: Path) -> np.ndarray | Tensor:
    """The array with a NumPy type, or the tensor where it is bfloat16."""
    if isinstance(array, Tensor) and array.layout is torch.strided:
        array = array.detach()
        if array.dtype is torch.bfloat16:
            return array
        try:
            array = array.numpy()
        except (TypeError, RuntimeError) as error:
            raise UserError(f"its type is {array.dtype}", where=str(path), hint="save it as float32") from error
    if not isinstance(array, np.ndarray):
        kind = "a sparse tensor" if isinstance(array, Tensor) else f"a {type(array).__name__}"
        raise UserError(f"it holds {kind}", where=str(path), hint="save one tensor of patterns")
    if array.dtype.kind not in "iufb" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        hint = "give integers or real numbers"
        raise UserError(f"its type is {array.dtype}", where=str(path), hint=hint)
    return array
