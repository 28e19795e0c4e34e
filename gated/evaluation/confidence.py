"""One rate: errors in n trials, with exact 95 % bounds.

Bounds after Clopper and Pearson (Biometrika 26, 1934): quantiles of a beta distribution. With no error, or only errors,
there is one one-sided bound: below 3 / n, the rule of three (ISO/IEC 19795-1).
"""

import math
from collections.abc import Iterable

import msgspec

RISK = 0.05
"""The share of such bounds that do not contain the true rate."""

TINY = 1e-300


class Rate(msgspec.Struct, frozen=True):
    """`errors` in `n` trials. `value`: None without trials. The true rate is within `low` to `high` at 95 %."""

    errors: int
    n: int
    value: float | None
    low: float
    high: float

    @classmethod
    def of(cls, errors: int, n: int) -> "Rate":
        """Return the rate with its bounds. Raises `ValueError` unless 0 <= errors <= n."""
        if not 0 <= errors <= n:
            raise ValueError(f"{errors} errors in {n} trials")
        return cls(errors, n, errors / n if n else None, *bounds(errors, n))

    @classmethod
    def among(cls, trials: Iterable[bool]) -> "Rate":
        """Return the rate of the trials that are true, that is, errors."""
        wrong = list(trials)
        return cls.of(sum(wrong), len(wrong))

    def __str__(self) -> str:
        """Return the value in per cent, its counts, and its bounds, as text."""
        if self.value is None:
            return "not measured (n = 0)"
        if self.errors == 0:
            return f"0 of {self.n:,}, below {_percent(min(1.0, 3 / self.n))} (3/n)"
        return f"{_percent(self.value)} ({self.errors:,} of {self.n:,}; {_percent(self.low)} to {_percent(self.high)})"


def bounds(errors: int, n: int) -> tuple[float, float]:
    """Return the lowest and the highest true rate that are consistent with `errors` in `n` trials, at 95 %."""
    if n == 0:
        return 0.0, 1.0
    if errors in (0, n):
        far = RISK ** (1 / n)
        return (0.0, 1 - far) if errors == 0 else (far, 1.0)
    return beta_quantile(RISK / 2, errors, n - errors + 1), beta_quantile(1 - RISK / 2, errors + 1, n - errors)


def beta_quantile(share: float, a: float, b: float) -> float:
    """Return the point with `share` of the weight of the beta distribution (`a`, `b` > 0) below it. Bisects to the last
    bit.
    """
    low, high = 0.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if beta_share(middle, a, b) < share else (low, middle)
    return high


def beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), the weight below x. 0 <= x <= 1, `a` and `b` > 0.

    Its continued fraction converges quickly on one side of the mean. The other side follows by symmetry (Abramowitz and
    Stegun 26.5.2 and 26.5.8).
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """Return the value of 1 + d1/(1 + d2/(1 + ...)), evaluated from the front (Lentz)."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, 100_000):
        m, odd = divmod(step, 2)
        if odd:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + term * d)
        c = _away_from_zero(1 + term / c)
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > TINY else TINY


def _percent(share: float) -> str:
    """Return per cent with two significant digits."""
    percent = 100 * share
    return f"{percent:.{2 if percent < 10 else 1}f} %" if percent >= 0.1 or percent == 0 else f"{percent:.2g} %"
