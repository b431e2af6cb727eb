"""What a run came to: facts and sightings laid side by side. Called by `storm` and `command`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from foa.bench.chaos.faults import Faults
from foa.bench.chaos.plan import KILLS, Run
from foa.bench.chaos.town import Town
from foa.bench.chaos.witness import Witness, Wound
from foa.bench.chaos.work.ledger import ONCE, Fact
from foa.bench.chaos.work.load import STEPPED

CONSENT: Final = "its effects happen once; give consent to repeat it"
SHOWN: Final = 50
"""Cases of one sort that are told in full."""


class Books:
    """All facts of a run, by task and by piece of work."""

    def __init__(self, witness: Witness) -> None:
        """`witness` sees what passes at the broker."""
        self._witness = witness
        self._words: Counter[str] = Counter()
        self._sorts: dict[str, str] = {}
        self._sent: dict[str, float] = {}
        self._accepted: dict[str, float] = {}
        self._ended: dict[str, list[Fact]] = {}
        self._rejected: dict[str, str] = {}
        self._begun: dict[str, list[Fact]] = {}
        self._wrong: list[str] = []
        self._cancelled: set[str] = set()

    def hear(self, fact: Fact) -> None:
        """Take a fact."""
        self._words[fact.word] += 1
        match fact.word:
            case "begin":
                self._begun.setdefault(fact.key, []).append(fact)
            case "sent":
                self._sent[fact.task], self._sorts[fact.task] = fact.at, fact.sort
            case "accepted":
                self._accepted.setdefault(fact.task, fact.at)
            case "result":
                self._ended.setdefault(fact.task, []).append(fact)
            case "rejected":
                self._rejected[fact.task] = fact.reason
            case "wrong":
                self._wrong.append(f"{fact.task}: {fact.reason}")
            case "cancel":
                self._cancelled.add(fact.task)
            case _:
                pass

    def count(self, word: str) -> int:
        """Return how often a word was said."""
        return self._words[word]

    def open(self) -> set[str]:
        """Return the tasks that were sent and have no end yet."""
        return self._sent.keys() - self._ended.keys() - self._rejected.keys()

    # --- the verdict ------------------------------------------------------------------------------------------

    def figures(
        self, run: Run, town: Town, faults: Faults, kept: Mapping[str, str], seconds: tuple[float, float]
    ) -> dict[str, Any]:
        """Return all figures; `kept` are the digests of retained results, `seconds` of the storm and of all of it."""
        accepted = (self._accepted.keys() | self._witness.accepted) & self._sent.keys()
        told = {task: sorted({one.digest for one in ends}) for task, ends in self._ended.items()}
        lost = sorted(task for task in accepted if task not in told and task not in kept)
        duplicated = sorted(task for task in told if len({*told[task], *_one(kept, task)}) > 1)
        failures = [ends[0] for ends in self._ended.values() if ends[0].status != "done"]
        kills = [wound for wound in self._witness.wounds if wound.kind in KILLS]
        hit = [wound for wound in kills if wound.affected]
        return {
            "broker": run.broker,
            "seed": run.seed,
            "seconds": round(seconds[0], 1),
            "seconds_to_rest": round(seconds[1] - seconds[0], 1),
            "submitted": len(self._sent),
            "accepted": len(accepted),
            "resumed_from_outbox": self._words["resumed"],
            "finished": sum(ends[0].status == "done" for ends in self._ended.values()),
            "failed": len(failures),
            "failed_unmeant": sum(not self._meant(one) for one in failures),
            "lost": len(lost),
            "duplicated": len(duplicated),
            "rejected": len(self._rejected),
            "wrong": len(self._wrong),
            "tasks_per_s": round(len(told) / seconds[0], 2),
            "sorts": dict(Counter(self._sorts.values()).most_common()),
            "multi_step_share": round(_share(self._sorts.values()), 3),
            "kills": len(hit),
            "idle_kills": len(kills) - len(hit),
            "faults": len(self._witness.wounds),
            "missed_faults": faults.missed,
            "restarts": town.restarts,
            **{f"recovery_{key}": value for key, value in recovery(hit).items()},
            "paused_over_5_s": len(self._witness.pauses),
            "longest_pause_s": round(max(self._witness.pauses.values(), default=0.0), 2),
            "kinds": _kinds(self._witness.wounds),
            "failures": self._failures(failures),
            "handlers": len(self._begun),
            "handlers_ran_again": len(self._again()),
            "settled_ran_again": len(self._settled_again()),
            "twice": len(self._twice()),
            "contradicted": sum(len(said) > 1 for said in self._witness.results.values()),
            "dead_letters": dict(self._witness.dead.most_common()),
            "messages_seen": self._witness.messages,
            "errors": len(town.faulty()),
            "unexpected_ends": len(town.unexpected),
            "cases": self._cases(lost, duplicated, kept, failures)
            | {"errors": town.faulty()[:SHOWN], "ends": town.unexpected[:SHOWN]},
        }

    def _failures(self, failures: Sequence[Fact]) -> dict[str, int]:
        """Count failures by how, of which sort, and whether that was intended."""
        return dict(
            Counter(f"{one.status}/{one.code or '-'}/{self._sorts[one.task]}" for one in failures).most_common()
        )

    def _again(self) -> list[list[Fact]]:
        """Return the pieces of work that were begun more than once; members of a team share theirs."""
        return [begun for begun in self._begun.values() if len(begun) > 1 and self._sorts.get(begun[0].task) != "team"]

    def _settled_again(self) -> list[str]:
        """Return work that was begun though its answer had been accepted, and how long ago."""
        settled = self._witness.settled
        late = [
            (one, one.at - settled.get((one.task, one.subtask), one.at)) for begun in self._again() for one in begun[1:]
        ]
        return [f"{one.task}/{one.subtask} by pid {one.pid}, {ago:.2f} s after" for one, ago in late if ago > 0]

    def _twice(self) -> list[str]:
        """Return the tasks whose effects happen once and that were begun again."""
        return [f"{begun[0].task}/{begun[0].subtask}" for begun in self._again() if begun[0].sort == ONCE]

    def _cases(
        self, lost: list[str], duplicated: list[str], kept: Mapping[str, str], failures: Sequence[Fact]
    ) -> dict[str, list[str]]:
        """Return what is to be looked at, a line each."""
        unhealed = [
            f"{wound.kind} {wound.victim}: {sorted(wound.waiting)[:3]}"
            for wound in self._witness.wounds
            if wound.waiting
        ]
        slow = sorted(
            ((took, spot, wound) for wound in self._witness.wounds for spot, took in wound.healed.items()),
            key=lambda row: -row[0],
        )
        return {
            "twice": self._twice()[:SHOWN],
            "settled_ran_again": self._settled_again()[:SHOWN],
            "lost": [
                f"{task} (owner {self._witness.tasks[task].owner if task in self._witness.tasks else '?'})"
                for task in lost[:SHOWN]
            ],
            "duplicated": [
                f"{task}: told {[(one.status, one.code, one.digest) for one in self._ended[task]]}, "
                f"kept {kept.get(task)}"
                for task in duplicated[:SHOWN]
            ],
            "failed": [
                f"{one.task}: {one.status} {one.code}: {one.reason}" for one in failures if not self._meant(one)
            ][:SHOWN],
            "rejected": [f"{task}: {reason}" for task, reason in self._rejected.items()][:SHOWN],
            "wrong": self._wrong[:SHOWN],
            "without_progress": unhealed[:SHOWN],
            "pauses": [
                f"{pause:.1f} s {task}"
                for task, pause in sorted(self._witness.pauses.items(), key=lambda row: -row[1])[:SHOWN]
            ],
            "slowest": [
                f"{took:.2f} s {wound.kind} {wound.victim} {'/'.join(spot)}" for took, spot, wound in slow[:20]
            ],
        }

    def _meant(self, fact: Fact) -> bool:
        """Tell whether a failure was asked for, or is promised: work that may have begun and must not begin twice."""
        return (fact.status == "cancelled" and fact.task in self._cancelled) or CONSENT in fact.reason


def _one(kept: Mapping[str, str], task: str) -> tuple[str, ...]:
    return (kept[task],) if task in kept else ()


def _share(sorts: Iterable[str]) -> float:
    all_ = list(sorts)
    return sum(sort in STEPPED for sort in all_) / max(1, len(all_))


def recovery(wounds: Sequence[Wound]) -> dict[str, float | None]:
    """Return the median and the 99th percentile of what the work held by `wounds` waited for its next progress."""
    took = sorted(seconds for wound in wounds for seconds in wound.healed.values())
    return {"p50_s": _at(took, 0.5), "p99_s": _at(took, 0.99), "worst_s": _at(took, 1.0)}


def _at(rising: Sequence[float], share: float) -> float | None:
    return round(rising[min(len(rising) - 1, int(len(rising) * share))], 3) if rising else None


def _kinds(wounds: Sequence[Wound]) -> dict[str, dict[str, Any]]:
    """Return the recovery per kind of fault."""
    found: dict[str, dict[str, Any]] = {}
    for kind in dict.fromkeys(sorted(wound.kind for wound in wounds)):
        mine = [wound for wound in wounds if wound.kind == kind]
        figures = recovery(mine)
        found[kind] = {
            "kills": sum(wound.affected > 0 for wound in mine),
            "idle": sum(wound.affected <= 0 for wound in mine),
            "affected": sum(wound.affected for wound in mine),
            "waiting": sum(len(wound.waiting) for wound in mine),
            "recovery_p50_s": figures["p50_s"],
            "recovery_p99_s": figures["p99_s"],
            "worst_s": figures["worst_s"],
        }
    return found


def table(figures: Mapping[str, Any]) -> str:
    """Return the figures for people."""
    plain = [f"{key:>20}  {value}" for key, value in figures.items() if not isinstance(value, dict | list)]
    head = f"{'fault':<20} {'hit':>4} {'idle':>4} {'affected':>8} {'p50 s':>7} {'p99 s':>7} {'worst s':>7}"
    rows = [
        f"{kind:<20} {row['kills']:>4} {row['idle']:>4} {row['affected']:>8} "
        + " ".join(
            f"{'-' if row[key] is None else row[key]:>7}" for key in ("recovery_p50_s", "recovery_p99_s", "worst_s")
        )
        for kind, row in figures["kinds"].items()
    ]
    more = [
        f"{key:>20}  {value}"
        for key, value in figures.items()
        if isinstance(value, dict) and key not in {"kinds", "cases"}
    ]
    cases = [f"  {word}: {line}" for word, lines in figures["cases"].items() for line in lines[:8]]
    return "\n".join([*plain, *more, "", head, *rows, "", *cases])
