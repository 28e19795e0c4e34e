"""The three nets of the courtyard set: small enough for a Pi Zero, and for two cores to train in half an hour.

Plain 3 x 3 convolutions with shortcuts (He et al. 2016): at this size they run as fast as depthwise ones and train
three times faster. The detector gives what YuNet gives, so that the gate reads both with the same code.
"""

from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """Convolution, batch norm, and ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Residual(nn.Module):
    """Two convolutions, added to their input."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, inner), conv(inner, width, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same."""
        return x + self.body(x)


class Embedder(nn.Module):
    """(n, 3, 64, 64) RGB, scaled to -1..1, to (n, 128)."""

    def __init__(self, size: int = 128) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 24, stride=2),  # 32 x 32
            conv(24, 48, stride=2),  # 16 x 16
            *[Residual(48, 40) for _ in range(3)],
            conv(48, 80, stride=2),  # 8 x 8
            *[Residual(80, 64) for _ in range(3)],
            conv(80, 224, 1),
            nn.Conv2d(224, 224, 8, groups=224, bias=False),  # the whole map, each place with a weight of its own
            nn.Flatten(),
            nn.BatchNorm1d(224),
        )
        self.out = nn.Sequential(nn.Linear(224, size, bias=False), nn.BatchNorm1d(size))

    def forward(self, x: Tensor) -> Tensor:
        """The embedding, not yet of unit length."""
        return self.out(self.features(x))


class Pad(nn.Module):
    """(n, 3, 64, 64) RGB, scaled to -1..1, to (n, 2): the probability of an attack, and of bona fide."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 16, stride=2),
            conv(16, 24, stride=2),
            Residual(24, 24),
            conv(24, 40, stride=2),
            Residual(40, 32),
            conv(40, 48, stride=2),
            nn.Flatten(),
            nn.Dropout(0.2),
        )
        self.out = nn.Linear(48 * 16, 2)

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
        self.shared = conv(inputs, inputs)
        self.parts = nn.ModuleList(nn.Conv2d(inputs, size, 1) for size in (1, 1, 4, 10))
        for part in list(self.parts)[:2]:
            nn.init.constant_(part.bias, -3.0)  # faces are rare

    def forward(self, x: Tensor) -> list[Tensor]:
        """(n, c, h, w) to four of (n, h * w, size), row by row; the first two are logits."""
        shared = self.shared(x)
        return [part(shared).flatten(2).transpose(1, 2) for part in self.parts]


class Detector(nn.Module):
    """(n, 3, h, w) RGB, scaled to -1..1, h and w multiples of 32, to YuNet's twelve outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8, stride=2), conv(8, 16, stride=2))
        self.steps = nn.ModuleList(
            [
                nn.Sequential(conv(16, 24, stride=2), Residual(24, 16)),
                nn.Sequential(conv(24, 48, stride=2), Residual(48, 32), Residual(48, 32)),
                nn.Sequential(conv(48, 48, stride=2), Residual(48, 32)),
            ]
        )
        self.down = nn.ModuleList([conv(48, 24, 1), conv(48, 48, 1)])
        self.heads = nn.ModuleList([Head(24), Head(48), Head(48)])

    def raw(self, x: Tensor) -> list[list[Tensor]]:
        """For training: for each stride logits, logits, box and landmarks."""
        maps = [self.stem(x)]
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
