"""Clock, chance and telemetry of a cloud, as its processes see them."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from workpool_aws.adapters.telemetry import LoggerTelemetry
from workpool_aws.incarnation import PerIncarnation
from workpool_aws.model.ids import EpochMs

if TYPE_CHECKING:
    from workpool_aws.local.faults.faults import CloudFaults
    from workpool_aws.local.kernel.kernel import Kernel
    from workpool_aws.local.services.runs import Runs
    from workpool_aws.model.events import Event

__all__ = ["CloudClock", "CloudTelemetry", "SeededEntropy"]


class CloudClock:
    """The kernel's time, as the process that asks knows it."""

    def __init__(self, kernel: Kernel, faults: CloudFaults) -> None:
        self._kernel = kernel
        self._faults = faults

    def now(self) -> EpochMs:
        """Now."""
        return EpochMs(self._kernel.now() + self._faults.clock_offset_ms())

    def sleep(self, ms: int) -> None:
        """Let the cloud's time pass."""
        self._kernel.sleep(ms)


class SeededEntropy:
    """Chance that a seed repeats.

    Tokens never repeat within one cloud. Each forked child has a sequence of its own, by its
    process id.
    """

    def __init__(self, seed: int) -> None:
        made_in = os.getpid()

        def generator() -> random.Random:
            here = os.getpid()
            return random.Random(
                f"entropy {seed}" if here == made_in else f"entropy {seed} of process {here}"
            )

        self._generator = PerIncarnation(generator)
        self._tokens = 0

    @property
    def _random(self) -> random.Random:
        return self._generator()

    def bits(self, count: int) -> int:
        """See Entropy."""
        return self._random.getrandbits(count)

    def fraction(self) -> float:
        """See Entropy."""
        return self._random.random()

    def token(self) -> str:
        """See Entropy."""
        self._tokens += 1
        return f"t{self._tokens}-{self._random.getrandbits(32):08x}"


class CloudTelemetry:
    """Keeps every event, and passes it to the runs, where it may name the outcome of a try.

    `level` is the least level that is logged as well. `None` means that nothing is logged, since a
    rehearsal is read from its events.
    """

    def __init__(self, runs: Runs, events: list[Event], *, level: int | None) -> None:
        self.events = events
        self._runs = runs
        self._log = None if level is None else LoggerTelemetry(level)

    def at_level(self, level: int) -> CloudTelemetry:
        """Another one for the same events, which logs from this level on."""
        return CloudTelemetry(self._runs, self.events, level=level)

    def emit(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)
        self._runs.note(event)
        if self._log is not None:
            self._log.emit(event)
