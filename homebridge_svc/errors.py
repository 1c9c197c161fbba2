"""One exception tree. Each leaf says whose fault it is, whether trying again is allowed, and what to show.

A policy "no" is not an exception: it is a `Refusal` value (core/orders.py).
"""

from __future__ import annotations


class HomebridgeError(Exception):
    """Root of everything this program raises on purpose."""


class ConfigError(HomebridgeError):
    """The owner's file is wrong; nothing was started. `path` is the key path, `hint` says how to mend it."""

    def __init__(self, path: str, problem: str, hint: str = "") -> None:
        super().__init__(f"{path}: {problem}" + (f" ({hint})" if hint else ""))
        self.path = path
        self.problem = problem
        self.hint = hint


class WireError(HomebridgeError):
    """The peer's bytes do not mean anything here. The peer's fault; the message is dropped and counted."""


class DeviceError(HomebridgeError):
    """A device did not do what it was asked to."""


class Unreachable(DeviceError):  # noqa: N818  the name says what is the matter
    """Nothing reached the device, so nothing happened. Trying again, or another channel, is safe."""


class OutcomeUnknown(DeviceError):  # noqa: N818
    """The order left, no answer came: it may have happened. Never blindly repeated."""


class Refused(DeviceError):  # noqa: N818
    """The device answered no (a wrong key, a refused call). Trying the same again is pointless."""


class Expired(DeviceError):  # noqa: N818
    """The order was too late and was not carried out: by our own check, or by the device's."""


class Unsupported(DeviceError):  # noqa: N818
    """This channel or model cannot do that. Another channel may."""


class StoreError(HomebridgeError):
    """The state file could not be written. What must be stored before it happens does not happen."""
