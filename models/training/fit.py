"""What all three trainings share: batches of pixels as input, and one way to fit."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def as_input(pixels: np.ndarray[Any, Any]) -> Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float32 in -1..1, channels last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def shuffled(order: np.random.Generator, count: int, size: int) -> Iterator[np.ndarray[Any, Any]]:
    """Places of whole batches, each round over everything in another order; for ever. `size` is at most `count`."""
    while True:
        places = order.permutation(count)
        for start in range(0, count - size + 1, size):
            yield places[start : start + size]


def fit(net: nn.Module, steps: int, rate: float, batches: Iterator[Any], loss_of: Callable[..., Tensor]) -> None:
    """Train for so many steps with AdamW and one cycle of the learning rate."""
    net.train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    began, told = time.monotonic(), 0.0
    for step, batch in zip(range(steps), batches, strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(step / steps, *batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        told = 0.98 * told + 0.02 * float(loss) if step else float(loss)
        if (step + 1) % max(1, steps // 10) == 0:
            print(f"  step {step + 1} of {steps}, loss {told:.3f}, {time.monotonic() - began:.0f} s", flush=True)
    net.eval()
