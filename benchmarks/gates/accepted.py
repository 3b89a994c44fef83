"""Changes that are meant to cost more: said in a commit's message, where reviewers read it.

    Costs-more: ^softmax float32 -- subtracts the maximum twice, for lines with infinities

The pattern is searched in the names of cases; the reason has to be there. It holds for comparisons
whose range of commits includes that one, so for no later change.
"""

import re
from dataclasses import dataclass

from .judge import Comparison
from .trees import Unavailable, git

LINE = re.compile(r"^Costs-more:\s*(\S.*?)\s+--\s+(\S.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Acceptance:
    pattern: str
    reason: str

    def covers(self, found: Comparison) -> bool:
        try:
            return re.search(self.pattern, found.key) is not None
        except re.error:
            return self.pattern in found.key


def in_messages(text: str) -> list[Acceptance]:
    return [Acceptance(*match) for match in LINE.findall(text)]


def between(base: str, head: str | None) -> list[Acceptance]:
    """What the commits after `base` say; the working tree is judged with its last commit."""
    try:
        return in_messages(git("log", "--format=%B", f"{base}..{head or 'HEAD'}"))
    except Unavailable:  # two revisions without a common history
        return []


def reason_for(found: Comparison, acceptances: list[Acceptance]) -> str | None:
    return next((a.reason for a in acceptances if a.covers(found)), None)
