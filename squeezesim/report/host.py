"""What an inference takes beside the accelerator: the host's work, and the link that inputs and outputs pass.

host = host.time_us + (input bytes + output bytes) / host.bandwidth_gb_s        inference = latency + host
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from squeezesim.cost.machine import Machine
from squeezesim.report import units
from squeezesim.report.stays import network_bytes

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network.network import Network
    from squeezesim.report.data import ReportData


@dataclass(frozen=True, slots=True)
class HostWork:
    """Times of an inference beside the accelerator's, in µs.

    Attributes:
        fixed_us: ``host.time_us``.
        link_us: inputs and outputs of the network through the link.
        moved_bytes: these inputs and outputs.
    """

    fixed_us: float
    link_us: float
    moved_bytes: int

    @property
    def us(self) -> float:
        """All of it.

        Example:
            >>> HostWork(900.0, 100.0, 40_000).us
            1000.0
        """
        return self.fixed_us + self.link_us

    def __str__(self) -> str:
        link = f", {units.decimal(self.link_us)} µs of it the link, {units.size(self.moved_bytes)}"
        return f"{units.decimal(self.us)} µs" + link * (self.link_us > 0)


def host_work(network: Network, accelerator: Accelerator) -> HostWork:
    """Return what *accelerator*'s host does for an inference of *network*.

    Example: 150,528 bytes of an image and 1,000 of a result through 0.4 GB/s take 379 µs.
    """
    host = accelerator.host
    if host.bandwidth_gb_s is None:
        return HostWork(host.time_us, 0.0, 0)
    moved = sum(network_bytes(network, Machine.of(accelerator)))
    return HostWork(host.time_us, moved / (host.bandwidth_gb_s * 1e3), moved)


def inference_us(report: ReportData) -> float:
    """Return latency and the host's work of an inference in µs."""
    latency = float(report.tally.total().latency_us(report.scale)[0])
    return latency + host_work(report.network, report.accelerator).us
