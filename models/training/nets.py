"""The three nets of the courtyard set: small enough for a Pi Zero, and for two cores to train in an hour.

Built from depthwise-separable blocks (MobileNetV2, Sandler et al. 2018; MobileFaceNets, Chen et al. 2018). The detector
gives what YuNet gives, so that the gate reads both with the same code.
"""

from torch import Tensor, nn


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, and ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    """Inverted bottleneck: widen, filter, narrow; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, widen: int = 2, stride: int = 1) -> None:
        super().__init__()
        wide = inputs * widen
        self.body = nn.Sequential(
            conv(inputs, wide, 1), conv(wide, wide, 3, stride, wide), conv(wide, outputs, 1, relu=False)
        )
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        return x + self.body(x) if self.is_residual else self.body(x)


class Embedder(nn.Module):
    """(n, 3, 64, 64) RGB, scaled to -1..1, to (n, 128)."""

    def __init__(self, size: int = 128) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 32, stride=2),  # 32 x 32
            Block(32, 48, 2, 2),  # 16 x 16
            *[Block(48, 48) for _ in range(3)],
            Block(48, 80, 2, 2),  # 8 x 8
            *[Block(80, 80) for _ in range(5)],
            conv(80, 256, 1),
            conv(256, 256, 8, groups=256, relu=False),
        )
        self.features[-1][0].padding = (0, 0)  # the whole map at once, each place with a weight of its own
        self.out = nn.Sequential(nn.Flatten(), nn.Linear(256, size, bias=False), nn.BatchNorm1d(size))

    def forward(self, x: Tensor) -> Tensor:
        """The embedding, not yet of unit length."""
        return self.out(self.features(x))


class Pad(nn.Module):
    """(n, 3, 64, 64) RGB, scaled to -1..1, to (n, 2): the probability of an attack, and of bona fide."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 16, stride=2),
            Block(16, 24, 2, 2),
            Block(24, 24),
            Block(24, 48, 2, 2),
            Block(48, 48),
            Block(48, 64, 2, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.out = nn.Linear(64, 2)

    def logits(self, x: Tensor) -> Tensor:
        """For training."""
        return self.out(self.features(x))

    def forward(self, x: Tensor) -> Tensor:
        """For use."""
        return self.logits(x).softmax(1)


class Head(nn.Module):
    """What is said of each place of one map: face or not (twice, as YuNet does), box, landmarks."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(conv(inputs, inputs, 3, groups=inputs), conv(inputs, inputs, 1))
        self.parts = nn.ModuleList(nn.Conv2d(inputs, size, 1) for size in (1, 1, 4, 10))
        for part in list(self.parts)[:2]:
            nn.init.constant_(part.bias, -3.0)  # faces are rare

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, c, h, w) to four of (n, h * w, size), row by row; the first two are logits."""
        shared = self.shared(x)
        return [part(shared).flatten(2).transpose(1, 2) for part in self.parts]


class Detector(nn.Module):
    """(n, 3, h, w) RGB, scaled to -1..1, h and w multiples of 32, to YuNet's twelve outputs."""

    NAMES = ("cls", "obj", "bbox", "kps")
    STRIDES = (8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, stride=2), Block(8, 16, 2, 2))
        self.steps = nn.ModuleList(
            [
                nn.Sequential(Block(16, 32, 2, 2), Block(32, 32), Block(32, 32)),
                nn.Sequential(Block(32, 48, 2, 2), Block(48, 48), Block(48, 48)),
                nn.Sequential(Block(48, 64, 2, 2), Block(64, 64)),
            ]
        )
        self.down = nn.ModuleList([conv(48, 32, 1), conv(64, 48, 1)])
        self.heads = nn.ModuleList([Head(32), Head(48), Head(64)])

    def raw(self, x: Tensor) -> list[list[Tensor]]:
        """For training: for each stride logits, logits, box and landmarks."""
        maps = [x := self.stem(x)]
        for step in self.steps:
            maps.append(step(maps[-1]))
        fine, middle, coarse = maps[1:]
        middle = middle + self.down[1](nn.functional.interpolate(coarse, scale_factor=2.0))
        fine = fine + self.down[0](nn.functional.interpolate(middle, scale_factor=2.0))
        return [head(m) for head, m in zip(self.heads, (fine, middle, coarse), strict=True)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """For use: cls, obj, bbox and kps, each for the strides 8, 16 and 32."""
        per_stride = [[c.sigmoid(), o.sigmoid(), b, k] for c, o, b, k in self.raw(x)]
        return tuple(outputs[i] for i in range(4) for outputs in per_stride)
