"""Logging set-up, and the brake for what a peer can repeat as often as it likes.

Under systemd the journal adds the time and reads `<priority>` prefixes; on a terminal we print the time ourselves.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping

from homebridge_svc.runtime.redact import RedactingFormatter, Redactor

OURS = "homebridge_svc"
KINDS = 1_000  # a peer that invents a new kind per message must not fill the memory
_OTHER = "other"
_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


class JournalFormatter(RedactingFormatter):
    """`<3>name: text`, the prefix on every line of a traceback; sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        """Format, hide, prefix."""
        prefix = f"<{_PRIORITY.get(record.levelno, 6)}>"
        return prefix + super().format(record).replace("\n", f"\n{prefix}")


def set_up(level: str, redactor: Redactor, environ: Mapping[str, str] = os.environ) -> None:
    """Send logs to standard error: ours from `level` up, those of libraries from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    if _is_journal(environ.get("JOURNAL_STREAM", "")):
        handler.setFormatter(JournalFormatter(redactor, "%(name)s: %(message)s"))
    else:
        handler.setFormatter(RedactingFormatter(redactor, "%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level.upper())


def _is_journal(stream: str) -> bool:
    """JOURNAL_STREAM is `device:inode` of the journal's socket; a redirected stderr is another file."""
    try:
        stat = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{stat.st_dev}:{stat.st_ino}"


class OncePerKind:
    """Logs the 1st, 10th, 100th … occurrence of each kind and counts all of them in `counts`."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.counts: Counter[str] = Counter()

    def __call__(
        self, kind: str, message: str, *args: object, level: int = logging.WARNING, exc_info: bool = False
    ) -> None:
        """Count one of `kind`; `message` with `args` is logged when its number is a power of ten."""
        if kind not in self.counts and len(self.counts) >= KINDS:
            kind = _OTHER
        self.counts[kind] += 1
        number = self.counts[kind]
        if number == 1:
            self._logger.log(level, message, *args, exc_info=exc_info)
        elif str(number).strip("0") == "1":
            self._logger.log(level, f"{message} (%d times by now)", *args, number, exc_info=exc_info)  # noqa: G004  a format
