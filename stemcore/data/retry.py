"""Reading once more where storage failed in a way that passes."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable

from stemcore.component.dataset import Dataset
from stemcore.errors import UserError

log = logging.getLogger("stemcore")

PASSING = {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.EBUSY, errno.ECONNRESET}
"""What a network file system answers while a server restarts or a cable is plugged in again."""
PAUSES = (0.1, 0.5, 2.0, 5.0)


def patiently(read: Callable[[], None], dataset: Dataset, closed: threading.Event) -> None:
    """Calls ``read``; again after 0.1, 0.5, 2 and 5 seconds while it raises an error that may pass.

    Raises:
        UserError: once it has failed for the fifth time; names the files.
    """
    for pause in (*PAUSES, None):
        try:
            return read()
        except OSError as error:
            if error.errno not in PASSING:
                raise
            if pause is None:
                raise UserError(
                    f"cannot be read: {error.strerror or error}, {len(PAUSES) + 1} times in a row",
                    where=", ".join(map(str, dataset.files)),
                    hint="check the disk or the connection to the file server, then go on with --resume",
                ) from error
            log.warning("reading again in %s s: %s", pause, error)
        if closed.wait(pause):
            return None
    return None
