"""From facts to an answer: the right layer, its evidence, and no proposal where there is none to make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnosis.diagnose import NOTHING_READ, NOTHING_WRONG, diagnose
from diagnosis.facts import FACTS, KNOWN
from domain.evidence import Missing, Reading, Seen
from tests.diagnosis.cases import KINDS, SERVICE, WRONG, case, facts

# Values on both sides of every limit, in each unit.
VALUES = {
    "share": st.sampled_from([0.0, 0.04, 0.06, 0.15, 0.3, 0.55, 0.75, 0.92, 1.0]),
    "count": st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    "times": st.sampled_from([0.5, 1.5, 3.0, 50.0]),
    "ms": st.sampled_from([1.0, 30.0, 80.0, 500.0]),
    "min": st.sampled_from([4.0, 14.0, 60.0]),
}
OTHER = st.sampled_from([0.0, 0.05, 3.0, 50.0, 1e5, 1e8])


def seen_facts() -> st.SearchStrategy[dict[str, Seen]]:
    """Any facts, read or not, of any target."""
    one = {fact.name: VALUES.get(fact.unit, OTHER).map(Reading) | st.just(Missing("blank")) for fact in FACTS}
    return st.fixed_dictionaries({}, optional=one)


@pytest.mark.parametrize("name", WRONG)
def test_each_trouble_is_named(name: str) -> None:
    """What differs from a healthy target decides the layer, and whether tuning is proposed."""
    _, differs, layer, tunable = WRONG[name]
    answer = diagnose(case(name))
    assert answer.layer == layer
    assert (answer.refusal == "") == tunable
    assert bool(answer.parameters) >= tunable
    assert {each.fact for each in answer.evidence} & set(differs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_target_is_left_alone(kind: str) -> None:
    """No symptom is an answer of its own: nothing is wrong, and nothing is tuned."""
    answer = diagnose(facts(KINDS[kind]))
    assert answer.layer == "none"
    assert answer.refusal == NOTHING_WRONG
    assert answer.parameters == ()
    assert f"{len(KINDS[kind])} facts" in answer.headline


def test_evidence_says_value_and_limit() -> None:
    """A person reads the number, its meaning and the limit that it breaks."""
    (first, *_) = diagnose(case("quota")).evidence
    assert first.fact == "cpu.throttled_share"
    assert (first.value, first.limit) == (0.3, 0.05)
    assert first.says.startswith("30 % CFS periods")
    assert "limit 5 %" in first.says


def test_a_cause_is_told_apart_from_what_follows() -> None:
    """Storage waits because temporary files fill it: work_mem is the answer, storage follows."""
    answer = diagnose(case("spill"))
    assert (answer.layer, answer.follows, answer.others) == ("pg_memory", ("io_storage",), ())


def test_a_weak_cause_explains_no_strong_symptom() -> None:
    """Collections that a throttled container stretches to 12 % are no reason for being throttled all the time."""
    answer = diagnose(facts({**SERVICE, "gc.share_of_time": 0.12, "cpu.throttled_share": 0.9}))
    assert (answer.layer, answer.others) == ("cpu_quota", ("gc",))


def test_waits_for_the_quota_are_not_blamed_on_neighbours() -> None:
    """The run queue counts throttled time, so a busy node proves nothing about a throttled container."""
    busy = {"node.cpu_busy": 1.0, "node.cpu_outside_target": 0.8, "process.waiting_threads": 0.9}
    answer = diagnose(facts({**SERVICE, **busy, "process.run_queue_share": 0.8, "cpu.throttled_share": 0.9}))
    assert answer.layer == "cpu_quota"


def test_an_idle_target_on_a_busy_node_is_not_starved() -> None:
    """Waiting for most of next to nothing costs nobody anything."""
    busy = {"node.cpu_busy": 1.0, "node.cpu_outside_target": 0.98, "process.run_queue_share": 0.8}
    assert diagnose(facts({**SERVICE, **busy, "process.waiting_threads": 0.03})).layer == "none"


def test_a_slow_dependency_on_a_starved_node_is_no_finding() -> None:
    """Whoever measures on a starved node measures its own waiting: the node is named, the dependency follows."""
    starved = WRONG["neighbour"][1]
    slow = {"dependency.response_ms": 40.0, "dependency.slower_than_usual": 12.0}
    answer = diagnose(facts({**SERVICE, **starved, **slow}))
    assert (answer.layer, answer.follows) == ("cpu_node", ("dependency",))


def test_a_full_page_cache_is_no_trouble() -> None:
    """Memory at its limit without stalls, refaults or kills is what page cache looks like."""
    assert diagnose(facts({**SERVICE, "memory.used_of_limit": 1.0})).layer == "none"


def test_one_checkpoint_on_request_is_no_storm() -> None:
    """Somebody's CHECKPOINT within ten seconds is six a minute, and no rhythm."""
    one = {"pg.checkpoints_requested": 1.0, "pg.checkpoints_requested_per_min": 6.0}
    assert diagnose(facts({**KINDS["database"], **one})).layer == "none"


def test_nothing_read_is_no_health() -> None:
    """Facts of the node alone, or none at all, say nothing about the target."""
    assert diagnose({}).refusal == NOTHING_READ
    node = {name: Reading(number) for name, number in SERVICE.items() if name.startswith("node.")}
    assert diagnose({**node, "process.cpu_cores": Missing("gone")}).refusal == NOTHING_READ


def test_an_unreadable_reason_to_refuse_withholds_a_proposal() -> None:
    """The deploy's time cannot be read: it may have been just now, so nothing is proposed, and the reason is told."""
    answer = diagnose({**case("quota"), "deploy.minutes_ago": Missing("deployed: /x cannot be looked at")})
    assert answer.layer == "deploy"
    assert "deployed: /x cannot be looked at" in answer.refusal
    assert answer.parameters == ()


def test_a_fact_that_does_not_apply_withholds_nothing() -> None:
    """A target without a deploy file, a database or a dependency is diagnosed by what it has."""
    quota = {name: seen for name, seen in case("quota").items() if not name.startswith(("deploy.", "dependency."))}
    assert diagnose(quota).refusal == ""


def test_unknown_facts_are_refused() -> None:
    """A collector with a word of its own is a mistake, told with the place of the vocabulary."""
    with pytest.raises(ValueError, match=r"cpu\.mood.*diagnosis/facts\.py"):
        diagnose({"cpu.mood": Reading(1.0)})


@st.composite
def troubled(draw: st.DrawFn) -> dict[str, Seen]:
    """A healthy target with one to three things that went wrong: near the border between refusal and proposal."""
    kinds = draw(st.sampled_from(sorted(KINDS)))
    known = dict(KINDS[kinds])
    fitting = [name for name, (kind, *_) in WRONG.items() if kind == kinds]
    for name in draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=3)):
        known |= WRONG[name][1]
    return facts(known)


@given(seen_facts() | troubled(), st.data())
def test_reading_less_never_turns_a_refusal_into_a_proposal(all_facts: dict[str, Seen], data: st.DataObject) -> None:
    """Whatever was seen: if it was a refusal, it stays one when any of the facts cannot be read."""
    before = diagnose(all_facts)
    lost = data.draw(st.sets(st.sampled_from(sorted(all_facts)))) if all_facts else set()
    fewer = {name: Missing("lost") if name in lost else seen for name, seen in all_facts.items()}
    after = diagnose(fewer)
    if before.refusal:
        assert after.refusal


@given(seen_facts())
def test_every_answer_is_whole(all_facts: dict[str, Seen]) -> None:
    """A proposal comes with parameters and evidence, a refusal with a reason; evidence is always something read."""
    answer = diagnose(all_facts)
    assert answer.headline
    if not answer.refusal:
        assert answer.parameters
        assert answer.evidence
    for each in answer.evidence:
        assert all_facts[each.fact] == Reading(each.value)
        assert each.fact in KNOWN


@given(seen_facts())
def test_missing_facts_make_no_symptom(all_facts: dict[str, Seen]) -> None:
    """With every fact missing there is never a symptom, whichever facts they are."""
    answer = diagnose({name: Missing("blank") for name in all_facts})
    assert (answer.layer, answer.refusal) == ("none", NOTHING_READ)
