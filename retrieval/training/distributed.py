"""Train with several processes: `torchrun --nproc-per-node N -m retrieval.cli train …`.

Every process sees the indices of the same global batch, encodes its share of it, and computes the
same loss over all embeddings. So one process and many give the same loss.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from indexer.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of this run: how many, and which one this is."""

    size: int = 1
    rank: int = 0

    @property
    def leads(self) -> bool:
        """True in the one process that writes and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return this process's rows of a global batch.

        Raises:
            UsageError: the batch cannot be split evenly.
        """
        if count % self.size:
            raise UsageError(f"a batch of {count} cannot be split over {self.size} processes")
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, local: Tensor) -> Tensor:
        """Return every process's rows, in order of rank."""
        if self.size == 1:
            return local
        parts = [torch.empty_like(local) for _ in range(self.size)]
        dist.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    def add_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Sum each parameter's gradient over the processes."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)

    def agree(self, flag: bool, device: torch.device) -> bool:
        """Return the leading process's value in every process."""
        said = torch.tensor([flag], dtype=torch.uint8, device=device)
        return bool(self.gather(said)[0])

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """Join the processes that `torchrun` started; alone if it did not."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(size=size, rank=dist.get_rank())
    finally:
        dist.destroy_process_group()
