"""One of two gloo processes: `python ddp_process.py RANK INIT_FILE OUTPUT`. Rank 0 has no pair.

Saves the averaged gradient and the one that rank 1's pairs give alone.
"""

import copy
import sys

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from paka.losses import PatchKernelAlignmentLoss


def local_loss(model, rank):
    generator = torch.Generator().manual_seed(7)
    student, teacher = torch.randn(2, 3, 9, 4, generator=generator)
    valid = torch.full((3, 9), rank == 1)
    return PatchKernelAlignmentLoss()(model(student), teacher, valid)


def main(rank, init_file, output):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{init_file}", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    alone = nn.Linear(4, 4)
    model = DistributedDataParallel(copy.deepcopy(alone))
    local_loss(model, rank).backward()
    local_loss(alone, rank=1).backward()
    torch.save([model.module.weight.grad, alone.weight.grad], output)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
