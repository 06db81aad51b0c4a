"""Follow an export that an installation runs, by asking again and again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dicom_export.errors import DicomExportError, TransientError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_export.names import OperationName
    from dicom_export.operations.operation import Operation
    from dicom_export.operations.request import ExportRequest
    from dicom_export.ports import Operations, ServedExports

_SHORTEST_SECONDS = 0.25
_LONGEST_SECONDS = 5.0
_LOOK_SECONDS = 0.125
_PATIENCE_SECONDS = 300.0


def states(
    operations: Operations,
    name: OperationName,
    option: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Operation]:
    """Yield the operation at growing intervals of at most 5 s, and last after its end.

    An installation that does not answer is asked again for 5 minutes. Raises Unavailable after that, and for any other
    error: it says how the operation can be followed. `option` selects the installation in that command.
    """
    pause, answered = _SHORTEST_SECONDS, clock()
    while True:
        try:
            operation = operations.get_operation(name)
        except DicomExportError as error:
            if not isinstance(error, TransientError) or clock() - answered >= _PATIENCE_SECONDS:
                raise Unavailable(
                    f"{error.message}. The export was started and may continue. Follow it with: dicom-export operations wait"
                    f" {name} {option}"
                ) from error
        else:
            answered = clock()
            yield operation
            if operation.is_done:
                return
        wait(pause)
        pause = min(pause * 1.5, _LONGEST_SECONDS)


class ServedRun:
    """A request that an installation runs: the steps of `cli.running.Run`. `option` selects the installation in a command.

    When the command `is_interrupted`, the next state follows at once, so that the cancellation need not wait.
    """

    def __init__(
        self,
        exports: ServedExports,
        request: ExportRequest,
        option: str,
        is_interrupted: Callable[[], bool],
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._exports = exports
        self._request = request
        self._option = option
        self._is_interrupted = is_interrupted
        self._sleep = sleep
        self._name: OperationName | None = None
        self._has_hurried = False

    def begin(self) -> Operation:
        """Start the export."""
        operation = self._exports.create_export(self._request)
        self._name = operation.name
        return operation

    def states(self, operation: Operation) -> Iterator[Operation]:
        """Yield the operation until after its end. Raises Unavailable."""
        return states(self._exports, operation.name, self._option, wait=self._wait)

    def _wait(self, seconds: float) -> None:
        # A handler of a signal does not end a sleep, and must not touch a lock.
        for _ in range(round(seconds / _LOOK_SECONDS)):
            if self._is_interrupted() and not self._has_hurried:
                self._has_hurried = True
                return
            self._sleep(_LOOK_SECONDS)

    def cancel(self, operation: Operation) -> None:
        """Request the operation's end. This does nothing if the installation does not answer now: `Run` asks again."""
        try:
            self._exports.cancel_operation(operation.name)
        except TransientError:
            return

    def stopped(self) -> str:
        """Return what a command leaves that is stopped at once."""
        if self._name is None:
            return "Stopped waiting. The export may have been started: see `dicom-export operations list`."
        return (
            "Stopped waiting. The export may still be running. To cancel it:\n"
            f"  dicom-export operations cancel {self._name} {self._option}"
        )
