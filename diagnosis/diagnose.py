"""From facts to one answer: which layer, why, what can matter; or why nothing should be tuned."""

from __future__ import annotations

from dataclasses import dataclass

from diagnosis.facts import KNOWN, Facts, of_target
from diagnosis.rules import RULES
from diagnosis.symptom import Evidence, Layer, Rule, Symptom
from domain.evidence import Missing, Reading, Seen

NOTHING_WRONG = "nothing is wrong here"
NOTHING_READ = "nothing of the target could be read: no diagnosis, so nothing is tuned"
WORST = 1e300  # stands for a fact that could not be read, when it is asked what it might have shown


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer. `parameters` are ids of the catalogue that can matter; `refusal` is why nothing should be tuned
    (empty: tune). `others` are layers with symptoms of their own, the strongest first, and `follows` those whose
    symptoms follow from this one."""

    layer: Layer
    headline: str
    evidence: tuple[Evidence, ...]
    parameters: tuple[str, ...]
    refusal: str = ""
    others: tuple[Layer, ...] = ()
    follows: tuple[Layer, ...] = ()


def diagnose(facts: Facts) -> Diagnosis:
    """Refusals come first, then what can be tuned by the share of time that it costs, then the application itself.

    Missing facts never decide: they make no symptom, and a proposal is withheld as long as one of them could have shown
    a reason to refuse. So reading less can turn a proposal into a refusal, never the other way round. Raises ValueError
    for a fact that is not in the vocabulary."""
    strange = sorted(set(facts) - set(KNOWN))
    if strange:
        raise ValueError(f"facts unknown to the vocabulary: {', '.join(strange)}; enter them in diagnosis/facts.py")
    if not any(isinstance(seen, Reading) and of_target(name) for name, seen in facts.items()):
        return Diagnosis("none", NOTHING_READ, (), (), NOTHING_READ)
    found = [(rule, symptom) for rule in RULES if not rule.last and (symptom := rule.judge(facts))]
    found.sort(key=lambda each: -each[1].score)
    refusals = [each for each in found if each[0].refuses]
    if refusals:
        return _answer(_first(refusals), found)
    if found:
        withheld = _doubt(facts)
        return withheld or _answer(_deepest(found), found)
    for rule in RULES:
        if rule.last and (symptom := rule.judge(facts)):
            return _answer((rule, symptom), [])
    return _well(facts)


def _well(facts: Facts) -> Diagnosis:
    """No symptom at all, and how much was looked at."""
    read = sum(isinstance(seen, Reading) for seen in facts.values())
    blind = len(facts) - read
    seen = f"{read} facts, all within their limits" + (f"; {blind} more could not be read" if blind else "")
    return Diagnosis("none", f"{NOTHING_WRONG}: {seen}", (), (), NOTHING_WRONG)


def _first(refusals: list[tuple[Rule, Symptom]]) -> tuple[Rule, Symptom]:
    """The last change comes before everything else, then the strongest refusal that no other one explains."""
    explained = {layer for rule, _ in refusals for layer in rule.explains}
    deploys = [each for each in refusals if each[0].layer == "deploy"]
    return (deploys or [each for each in refusals if each[0].layer not in explained])[0]


def _deepest(found: list[tuple[Rule, Symptom]]) -> tuple[Rule, Symptom]:
    """The strongest symptom that no other one explains. A cause is at least half as strong as what it explains: a CPU
    quota stretches collections too, so that a little of those is no reason for a lot of throttling."""

    def explained(layer: Layer, score: float) -> bool:
        return any(layer in rule.explains and symptom.score >= 0.5 * score for rule, symptom in found)

    return next((each for each in found if not explained(each[1].layer, each[1].score)), found[0])


def _answer(chosen: tuple[Rule, Symptom], found: list[tuple[Rule, Symptom]]) -> Diagnosis:
    rule, symptom = chosen
    rest = tuple(each.layer for other, each in found if other is not rule)
    return Diagnosis(
        symptom.layer,
        symptom.headline,
        symptom.evidence,
        symptom.parameters,
        symptom.refusal,
        tuple(layer for layer in rest if layer not in rule.explains),
        tuple(layer for layer in rest if layer in rule.explains),
    )


def _doubt(facts: Facts) -> Diagnosis | None:
    """A refusal, if a fact that could not be read might have been a reason for one."""
    missing = {name: seen for name, seen in facts.items() if isinstance(seen, Missing)}
    if not missing:
        return None
    imagined: dict[str, Seen] = dict(facts)
    for name in missing:
        imagined[name] = Reading(WORST if KNOWN[name].worst == "high" else 0.0)
    for rule in RULES:
        if rule.refuses and not rule.last and (symptom := rule.judge(imagined)):
            blind = [each.fact for each in symptom.evidence if each.fact in missing]
            reasons = "; ".join(f"{name}: {missing[name].reason}" for name in blind)
            why = f"cannot tell whether {rule.title}, as a fact could not be read ({reasons})"
            return Diagnosis(rule.layer, why, (), (), why)
    return None
