"""The diagnosis of one target: two rounds of samples, what Prometheus saw in between, and the rules."""

from __future__ import annotations

from adapters.facts.collector import Sample
from adapters.facts.registry import collectors_for, facts_of, take
from adapters.facts.telemetry import telemetry_facts
from diagnosis.diagnose import diagnose
from diagnosis.facts import Facts, worst_of
from domain.codec import from_json, to_json
from domain.evidence import Reading
from domain.ports import Clock, Examination, Json, Telemetry
from domain.target import Target

LEAST_SCRAPES = 4  # in the window that Prometheus is asked about


class TargetExaminer:
    """See `domain.ports.Examiner`."""

    def __init__(self, target: Target, telemetry: Telemetry, clock: Clock) -> None:
        self._target, self._telemetry, self._clock = target, telemetry, clock
        self._collectors = collectors_for(target)

    def sample(self) -> Json:
        return {name: to_json(sample) for name, sample in take(self._collectors, self._clock).items()}

    def examine(self, first: Json, second: Json) -> Examination:
        """Somebody noticed that the target got slower, so facts that explain nothing forbid nothing."""
        answer = diagnose(self.facts(first, second))
        evidence = tuple(each.says for each in answer.evidence)
        refusal = "" if answer.layer == "none" else answer.refusal
        return Examination(answer.layer, answer.headline, evidence, answer.parameters, refusal)

    def facts(self, first: Json, second: Json) -> Facts:
        """Facts of the vocabulary: those of the target itself, and from Prometheus what it does not tell."""
        rounds = [{name: from_json(Sample, raw) for name, raw in each.items()} for each in (first, second)]
        local = facts_of(self._collectors, *rounds)
        end = self._telemetry.now()
        if end is None:
            return local
        times = [sample.at for each in rounds for sample in each.values()]
        scrape = self._target.profile.scrape
        start = end - max(max(times, default=end) - min(times, default=end), LEAST_SCRAPES * scrape)
        remote = worst_of(
            telemetry_facts(self._telemetry, arm, start=start, end=end, scrape=scrape) for arm in self._target.arms
        )
        read = {fact for fact, seen in local.items() if isinstance(seen, Reading)}
        return {**local, **{fact: seen for fact, seen in remote.items() if fact not in read}}
