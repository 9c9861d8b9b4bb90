"""What a trial found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Result:
    """`figures` say how much was tried; `faults` what failed, was lost or was doubled."""

    figures: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, figure: float) -> None:
        self.figures[what] = f"{figure:,.0f}" if figure >= 100 else f"{figure:,.3g}"
