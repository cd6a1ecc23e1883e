"""What a reindex is asked, and what it answers."""

from dataclasses import dataclass, field

from worker.core.audit import Recorded, Run
from worker.core.s3.objects import Place
from worker.core.s3.reindexing import Source

DEFAULT_GRACE_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class ReindexRequest:
    """How to replace the index."""

    run: Run
    source: Source
    buckets: tuple[Place, ...]
    """The buckets whose objects the new index is to hold: whole buckets."""
    rate: float | None = None
    """Maximum number of objects per second that are read; None for no limit."""
    grace_s: int | None = None
    """Seconds for which the old index is kept after the switch, at least; None for what was said before, or the default."""
    force: bool = False
    """Switch also where the new index is worse than the old one."""
    removes_many: bool = False
    """Remove from the new index what has no object, however much that is."""
    while_paused: bool = False


@dataclass(slots=True)
class Reindexed:
    """What was done, and what is left."""

    old: str
    new: str
    filled: int = 0
    """Documents that were indexed or copied to fill the new index."""
    repaired: int = 0
    """Documents of the new index that were written or removed after comparing it with the buckets."""
    rounds: int = 0
    """How often it was compared."""
    lacking: int = 0
    """What the last comparison found wrong with the new index."""
    examples: list[str] = field(default_factory=list)
    """Some of that, with the reasons."""
    is_switched: bool = False
    """Whether searches read the new index."""
    can_go_back: bool = False
    """Whether the old index is kept for now."""
    must_finish: bool = False
    """Whether the last step was not reached, so that `--finish` has to complete it."""
    stopped: bool = False
    """Whether a signal ended it early."""
    seconds: float = 0.0
    recorded: Recorded | None = None

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        names = (
            "old",
            "new",
            "filled",
            "repaired",
            "rounds",
            "lacking",
            "examples",
            "is_switched",
            "can_go_back",
            "stopped",
        )
        return {**{name.removeprefix("is_"): getattr(self, name) for name in names}, "seconds": round(self.seconds, 1)}
