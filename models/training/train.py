"""Makes the courtyard models again from a seed: renders, trains, exports, proves, and writes their manifest entries.

    python models/training/train.py --seed 1

Runs on the CPU. Rates on people never trained on are printed at the end of each part; `gated evaluate --set courtyard`
then measures the gate as a whole.
"""

import argparse
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import data
import numpy as np
import torch
from torch import Tensor, nn

import export
from nets import Detector, Embedder, Pad

PARTS = ["embedder", "pad", "detector"]
HELD_OUT = 120
"""So many people are kept from training, to measure on."""


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    seed: int
    processes: int
    people: int
    views: int
    epochs: int
    sprites: int
    pad_epochs: int
    scenes: int
    scene_epochs: int


def as_input(pixels: np.ndarray[Any, Any]) -> Tensor:
    """(n, h, w, 3) uint8 to (n, 3, h, w) float32 in -1..1, channels last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def fit(
    net: nn.Module, steps: int, rate: float, batches: Any, loss_of: Any, extra: list[nn.Parameter] | None = None
) -> None:
    """Train for so many steps with AdamW and one cycle of the learning rate."""
    net.train()
    parameters = [*net.parameters(), *(extra or [])]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    began, told = time.monotonic(), 0.0
    for step, batch in zip(range(steps), batches, strict=False):
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(step / steps, *batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        schedule.step()
        told = 0.98 * told + 0.02 * float(loss) if step else float(loss)
        if (step + 1) % max(1, steps // 10) == 0:
            print(f"  step {step + 1} of {steps}, loss {told:.3f}, {time.monotonic() - began:.0f} s", flush=True)
    net.eval()


def shaken(x: Tensor, rng: torch.Generator) -> Tensor:
    """Shift by up to 2 px, and now and then hide a part."""
    dx, dy = (int(v) for v in torch.randint(-2, 3, (2,), generator=rng))
    x = torch.roll(x, (dy, dx), (2, 3))
    if torch.rand(1, generator=rng) < 0.3:
        x = x.clone()
        top, left = (int(v) for v in torch.randint(0, 52, (2,), generator=rng))
        x[:, :, top : top + 12, left : left + 12] = 0
    return x


def train_embedder(plan: Plan) -> tuple[Embedder, float]:
    """Large-margin cosine loss (CosFace, Wang et al. 2018) over the people; gives a threshold as well."""
    everybody = list(range(plan.people + HELD_OUT))
    faces = list(data.in_parallel(partial(data.faces_of, views=plan.views), everybody, plan.processes, "people"))
    known, unknown = np.concatenate(faces[: plan.people]), faces[plan.people :]
    labels = np.repeat(np.arange(plan.people), plan.views)
    net = Embedder().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    centres = nn.Parameter(torch.randn(plan.people, 128) * 0.05)
    rng, order = torch.Generator().manual_seed(plan.seed), np.random.default_rng(plan.seed)
    batch_size = min(256, len(known))
    steps = plan.epochs * len(known) // batch_size

    def batches() -> Any:
        while True:
            shuffled = order.permutation(len(known))
            for start in range(0, len(shuffled) - batch_size + 1, batch_size):
                chosen = shuffled[start : start + batch_size]
                x = as_input(known[chosen]).contiguous(memory_format=torch.channels_last)
                yield shaken(x, rng), torch.from_numpy(labels[chosen])

    def loss_of(done: float, x: Tensor, y: Tensor) -> Tensor:
        cosine = nn.functional.normalize(net(x).float()) @ nn.functional.normalize(centres).T
        margin = 0.35 * min(1.0, done / 0.2)
        return nn.functional.cross_entropy(28 * (cosine - margin * nn.functional.one_hot(y, plan.people)), y)

    fit(net, steps, 3e-3, batches(), loss_of, [centres])
    return net, measure_embedder(net, np.stack(unknown))


@torch.no_grad()
def measure_embedder(net: Embedder, faces: np.ndarray[Any, Any]) -> float:
    """Single view against single view on people never seen; the score that 1 in 10,000 pairs of strangers reach."""
    people, views = faces.shape[:2]
    vectors = torch.cat([nn.functional.normalize(net(as_input(f))) for f in faces]).numpy()
    scores, same = vectors @ vectors.T, np.kron(np.eye(people), np.ones((views, views))) > 0
    upper = np.triu(np.ones_like(same), 1) > 0
    mated, other = scores[same & upper], np.sort(scores[~same & upper])
    print(
        f"embedder: mated {mated.mean():.3f} (1 % below {np.quantile(mated, 0.01):.3f}), non-mated {other.mean():.3f}"
    )
    for fmr in (1e-2, 1e-3, 1e-4):
        threshold = float(other[int(len(other) * (1 - fmr))])
        print(f"  FMR {fmr:g} at {threshold:.3f}: FNMR {np.mean(mated < threshold):.4f} (n {len(mated)}, {len(other)})")
    return float(other[int(len(other) * (1 - 1e-4))])


def train_pad(plan: Plan) -> Pad:
    """Bona fide or not, from crops of faces, prints and phones."""
    rows = list(data.in_parallel(data.pad_crops, list(range(plan.sprites)), plan.processes, "PAD crops"))
    crops, labels = np.stack([r[0] for r in rows]), np.array([r[1] for r in rows])
    kept = len(rows) * 9 // 10
    flat, truth = crops[:kept].reshape(-1, *crops.shape[2:]), np.repeat(labels[:kept], crops.shape[1])
    net, rng = Pad(), torch.Generator().manual_seed(plan.seed)
    order = np.random.default_rng(plan.seed)

    def batches() -> Any:
        while True:
            chosen = order.choice(len(flat), 128, replace=False)
            x, y = as_input(flat[chosen]), torch.from_numpy(truth[chosen])
            x = torch.flip(x, (3,)) if torch.rand(1, generator=rng) < 0.5 else x
            yield torch.roll(x, tuple(torch.randint(-2, 3, (2,), generator=rng).tolist()), (2, 3)), y

    def loss_of(_: float, x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(net.logits(x).float(), y, label_smoothing=0.02)

    fit(net, plan.pad_epochs * len(flat) // 128, 2e-3, batches(), loss_of)
    with torch.no_grad():
        unseen = torch.cat([net(as_input(c))[:, 1] for c in crops[kept:]]).numpy()
    truth = np.repeat(labels[kept:], crops.shape[1])
    apcer, bpcer = np.mean(unseen[truth == 0] >= 0.5), np.mean(unseen[truth == 1] < 0.5)
    print(
        f"PAD on people never seen: APCER {apcer:.4f}, BPCER {bpcer:.4f} (n {np.sum(truth == 0)}, {np.sum(truth == 1)})"
    )
    return net


def targets(faces: list[Any], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """(anchors, 16) for one picture: 1 where a face is to be seen, 0 where not, -1 where either will do; box; marks."""
    parts = []
    for stride, low, high in ((8, 0, 30), (16, 20, 120), (32, 60, 1000)):
        rows, columns = np.mgrid[: size[1] // stride, : size[0] // stride]
        at = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float32)
        wanted = np.zeros((len(at), 16), np.float32)
        for (x, y, w, h), marks in faces:
            middle, side = np.array([x + w / 2, y + h / 2]), float(np.sqrt(w * h))
            away = np.abs((at + 0.5) * stride - middle) / np.array([w, h])
            wanted[(away < 0.5).all(1) & (wanted[:, 0] == 0), 0] = -1
            if low <= side < high:
                near = (away < 0.18).all(1) | (np.abs((at + 0.5) * stride - middle) <= stride / 2).all(1)
                wanted[near, 0] = 1
                wanted[near, 1:3] = middle / stride - at[near]
                wanted[near, 3:5] = np.log(np.array([w, h]) / stride)
                wanted[near, 6:] = (marks[None] / stride - at[near][:, None]).reshape(-1, 10)
        parts.append(wanted)
    return np.concatenate(parts)


def detector_loss(net: Detector, x: Tensor, wanted: Tensor) -> Tensor:
    """Focal loss for faces (Lin et al. 2017), smooth L1 for where they are."""
    outputs = [torch.cat(list(kind), 1).float() for kind in zip(*net.raw(x), strict=True)]
    cls, obj, box, marks = outputs
    truth, cares, there = wanted[..., :1].clamp(min=0), wanted[..., 0] >= 0, wanted[..., 0] == 1
    count = there.sum().clamp(min=1)
    loss = torch.zeros(())
    for logits in (cls, obj):
        chance = logits.sigmoid()
        hard = (truth - chance).abs().pow(2) * (0.25 + 0.5 * truth)
        entropy = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        loss = loss + (hard * entropy)[cares].sum() / count
    loss = loss + nn.functional.smooth_l1_loss(box[there], wanted[there][:, 1:5], reduction="sum", beta=0.1) / count
    off = nn.functional.smooth_l1_loss(marks[there], wanted[there][:, 6:], reduction="sum", beta=0.02)
    return loss + 2 * off / count


def train_detector(plan: Plan) -> Detector:
    """From scenes as small as lores and, in turn, from single faces as the second look sees them."""
    jobs = list(range(plan.sprites // 2))
    sprites = [s for s, _ in data.in_parallel(data.some_sprite, jobs, plan.processes, "sprites")]
    rng, net = np.random.default_rng([4, plan.seed]), Detector().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept = sprites[: len(sprites) * 9 // 10]

    def some(make: Any, size: tuple[int, int], count: int, of: list[Any]) -> tuple[Tensor, Tensor]:
        made = [make(of, rng) for _ in range(count)]
        x = as_input(np.stack([picture for picture, _ in made]))
        if size == data.CANVAS:
            x[:, :, data.LORES[1] :] = 0
        return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(
            np.stack([targets(f, size) for _, f in made])
        )

    def batches() -> Any:
        while True:
            yield some(data.scene, data.CANVAS, 16, kept)
            yield some(data.near, (data.LOOK, data.LOOK), 48, kept)

    fit(net, plan.scenes * plan.scene_epochs // 16, 3e-3, batches(), lambda _, x, y: detector_loss(net, x, y))
    measure_detector(net, *some(data.near, (data.LOOK, data.LOOK), 400, sprites[len(kept) :]))
    return net


@torch.no_grad()
def measure_detector(net: Detector, x: Tensor, wanted: Tensor) -> None:
    """How well single faces of people never seen are found, and how far their landmarks are off."""
    cls, obj, _, marks = (torch.cat(list(kind), 1) for kind in zip(*net.raw(x), strict=True))
    score = (cls.sigmoid() * obj.sigmoid()).sqrt()[..., 0]
    best = score.argmax(1)
    each = torch.arange(len(x))
    has_face, found = (wanted[..., 0] == 1).any(1), score[each, best] >= 0.6
    good = has_face & found & (wanted[each, best, 0] == 1)
    truth, seen = wanted[each, best][good, 6:].view(-1, 5, 2), marks[each, best][good].view(-1, 5, 2)
    eyes = (truth[:, 0] - truth[:, 1]).norm(dim=1)
    error = ((truth - seen).norm(dim=2).mean(1) / eyes).median()
    missed = 1 - (found & has_face).sum() / has_face.sum()
    print(
        f"detector near: missed {missed:.4f} of {has_face.sum()}, landmarks off by {error:.3f} eye distances (median)"
    )
    print(f"  found {(found & ~has_face).sum()} faces in {(~has_face).sum()} pictures without one")


def main() -> None:
    """All three, or some."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "courtyard")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work, to see that it runs")
    asked = parser.parse_args()
    torch.manual_seed(asked.seed)
    plan = Plan(
        asked.seed,
        asked.processes,
        people=1200,
        views=12,
        epochs=16,
        sprites=2000,
        pad_epochs=6,
        scenes=4000,
        scene_epochs=9,
    )
    if asked.quick:
        plan = Plan(
            asked.seed,
            asked.processes,
            people=40,
            views=4,
            epochs=2,
            sprites=80,
            pad_epochs=1,
            scenes=64,
            scene_epochs=1,
        )
    asked.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    if "embedder" in asked.only:
        net, threshold = train_embedder(plan)
        export.embedder(net, asked.out, threshold)
    if "pad" in asked.only:
        export.pad(train_pad(plan), asked.out)
    if "detector" in asked.only:
        export.detector(train_detector(plan), asked.out)
    print(f"done in {(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
