"""What an agent may do beside its draft: critique, revise, plan, synthesise; and what it may say instead."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

import foa
from foa.adapters.handlers import PLAN_PORT, Assignment, Handler, agent, inputs_of
from foa.adapters.peers import Critique, Part, Peer, Proposal
from foa.adapters.profile import load, problems
from foa.adapters.runners import Outcome, runner_for, runner_of
from foa.adapters.runners.base import Critic, Planner, Synthesiser, critiques_of
from foa.adapters.runners.document import Conversation
from foa.errors import AgentFailed, ConfigError, Decline
from foa.wire.records import Given, Plan, Port, Subtask, Value
from tests.adapters_agents.test_runners import declare, python, shell

A2, A3 = "acme/tools/a2", "acme/tools/a3"


def text(body: str, name: str = "result", source: str = "", by: str = "") -> Given:
    return Given(name, Value("text/plain", "text/plain", body.encode()), source, by)


def as_json(name: str, document: Any) -> Given:
    return Given(name, Value(name, "application/json", msgspec.json.encode(document)))


def said(outcome: Outcome | None) -> list[bytes | None]:
    assert outcome is not None
    return [each.value.body for each in outcome]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def peer(name: str, body: str, **more: Any) -> Peer[Outcome]:
    return Peer(name, (text(body),), **more)


@pytest.fixture
def shout() -> Handler[..., Any]:
    @agent("acme/tools/shout", description="Shouts", skills=["shout"])
    async def shout(text: str) -> str:
        return text.upper()

    return shout


# --- decorators -------------------------------------------------------------------------------------------


def test_with_a_draft_alone_nothing_is_said_and_the_draft_stands(shout: Handler[..., Any]) -> None:
    runner = runner_of(shout)
    assert isinstance(runner, Critic)
    assert isinstance(runner, Planner)
    assert isinstance(runner, Synthesiser)
    assert run(runner.critique(Assignment("x"), (text("X"),), (peer(A2, "Y"),))) == {}
    assert run(runner.revise(Assignment("x"), (text("X"),), ((text("Y"),),))) is None
    assert run(runner.plan(Assignment("x"))) is None
    assert run(runner.synthesise(Assignment("x"))) is None
    assert (shout.profile.refines, [skill.id for skill in shout.profile.skills]) == (False, ["shout"])


@pytest.mark.parametrize("plain", [True, False])
def test_a_critic_judges_typed_peers(shout: Handler[..., Any], *, plain: bool) -> None:
    def judge(draft: str, peers: list[Peer[str]], task: Assignment) -> list[Critique]:
        assert (draft, task.round) == ("X", 1)
        return [Critique(one.agent, f"{one.outputs}?\nwhy", 2.0) for one in peers] + [Critique("o/u/stranger", "x")]

    async def judge_soon(draft: str, peers: list[Peer[str]]) -> dict[str, str]:
        return {one.agent: f"{one.outputs}? why" for one in peers}

    shout.critique(judge if plain else judge_soon)
    assert shout.profile.refines
    runner = runner_of(shout)
    assert isinstance(runner, Critic)
    unread: Peer[Outcome] = Peer(A3, (Given("result", Value("text/plain", "text/plain", b"\xff")),))
    found = run(runner.critique(Assignment("x", round=1), (text("X"),), (peer(A2, "Y"), unread)))
    assert found == {A2: Critique(A2, "Y? why", 1.0 if plain else None)}


def test_a_reviser_that_asks_for_peers_is_given_what_they_said_of_it(shout: Handler[..., Any]) -> None:
    @shout.revise
    async def better(draft: str, peers: list[Peer[str]]) -> str:
        return " ".join([draft, *(f"{one.outputs}:{one.critique}:{one.confidence}:{one.guest}" for one in peers)])

    known = (peer(A2, "Y", critique="too loud", confidence=0.5), peer(A3, "Z", guest=True))
    task = Assignment("x", round=1, peers=known)
    found = run(runner_of(shout).revise(task, (text("X"),), tuple(one.outputs for one in known)))
    assert said(found) == [b"X Y:too loud:0.5:False Z::None:True"]


def test_a_planner_is_found_by_its_skill_and_output_and_its_draft_is_as_before(shout: Handler[..., Any]) -> None:
    @shout.plan
    async def plan(request: str, agents: list[dict[str, Any]], task: Assignment, cases: list[Any] | None = None) -> Any:
        steps = agents or [{"agent": "nobody"}]
        return Proposal([{"id": f"s{at}", "text": f"{request}: {one['agent']}"} for at, one in enumerate(steps)])

    profile = shout.profile
    assert [skill.id for skill in profile.skills] == ["shout", "plan"]
    assert profile.outputs == (Port("result", "text/plain"), PLAN_PORT)
    assert not profile.refines
    runner = runner_of(shout)
    assert isinstance(runner, Planner)
    given = inputs_of([as_json("agents", [{"agent": A2}, {"agent": A3}]), as_json("cases", [1])])
    (found,) = run(runner.plan(Assignment("do it", inputs=given)))
    assert (found.name, found.value.type) == ("plan", "plan")
    assert [one["text"] for one in msgspec.json.decode(found.value.body)["subtask"]] == [f"do it: {A2}", f"do it: {A3}"]
    assert b"nobody" in said(run(runner.plan(Assignment("do it"))))[0]  # type: ignore[operator]
    assert said(run(runner.run(Assignment("hi")))) == [b"HI"]


@pytest.mark.parametrize(
    "proposed",
    [
        {"subtask": [{"id": "a", "text": "x"}]},
        [{"id": "a", "text": "x"}],
        Plan((Subtask("a", "x"),)),
        Proposal(Plan((Subtask("a", "x"),))),
    ],
)
def test_a_plan_may_be_written_in_several_ways(shout: Handler[..., Any], proposed: Any) -> None:
    shout.plan(lambda request: proposed)
    (found,) = run(runner_of(shout).plan(Assignment("x")))  # type: ignore[attr-defined]
    (subtask,) = msgspec.json.decode(found.value.body)["subtask"]
    assert (subtask["id"], subtask["text"]) == ("a", "x")


def test_what_is_no_plan_is_a_lie(shout: Handler[..., Any]) -> None:
    shout.plan(lambda request: "first this, then that")
    with pytest.raises(AgentFailed, match="lies about its types: plan: got str"):
        run(runner_of(shout).plan(Assignment("x")))  # type: ignore[attr-defined]


def test_parts_are_made_one_by_who_declares_that_skill(shout: Handler[..., Any]) -> None:
    @shout.synthesise
    def join(parts: list[Part], request: str, task: Assignment) -> str:
        return f"{request}: " + "; ".join(f"{one.source} by {one.agent}: {one.value}" for one in parts)

    assert [skill.id for skill in shout.profile.skills] == ["shout", "synthesise"]
    given = inputs_of([text("mine"), text("one", source="a", by=A2), text("two", source="b", by=A3)])
    found = run(runner_of(shout).synthesise(Assignment("sum up", inputs=given)))  # type: ignore[attr-defined]
    assert said(found) == [f"sum up: a by {A2}: one; b by {A3}: two".encode()]


def test_bad_roles_are_explained(shout: Handler[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"a critique function takes \(draft, peers, task\)"):
        shout.critique(lambda draft: None)
    with pytest.raises(ConfigError, match=r"a synthesise function takes parts: list\[foa.Part\]"):
        shout.synthesise(lambda parts: None)


@pytest.mark.parametrize("wrong", [3, "wrong", {A2: 3}, [3]])
def test_what_is_no_critique_is_a_lie(wrong: Any) -> None:
    with pytest.raises(AgentFailed, match="lies about its types"):
        critiques_of(wrong, {A2})


def test_scores_are_held_within_their_range() -> None:
    scores = [1.5, -1.0, float("nan"), True, 0.25]
    found = [critiques_of([Critique(A2, "", score)], {A2})[A2].score for score in scores]
    assert found == [1.0, 0.0, None, None, 0.25]


# --- answers of people ------------------------------------------------------------------------------------


def test_an_answer_is_no_text_to_work_on(shout: Handler[..., Any]) -> None:
    assert said(run(runner_of(shout).run(Assignment("words", inputs=inputs_of([text("b", "answer")]))))) == [b"WORDS"]

    def by_name(answer: str = "none") -> str:
        return answer

    made = runner_of(agent("acme/tools/it", description="x")(by_name))
    assert said(run(made.run(Assignment("w", inputs=inputs_of([text("b", "answer")]))))) == [b"b"]
    yielded = inputs_of([text("b", "answer", "s1")])
    assert said(run(runner_of(shout).run(Assignment("words", inputs=yielded)))) == [b"B"]


@pytest.mark.parametrize("error", [foa.Ask("which?", options=("a", "b")), foa.Refute("load", "it is empty")])
def test_questions_and_refutations_pass(error: Exception) -> None:
    def fail() -> str:
        raise error

    with pytest.raises(type(error)) as raised:
        run(runner_of(agent("acme/tools/it", description="x")(fail)).run(Assignment("x")))
    assert raised.value is error


# --- profiles ---------------------------------------------------------------------------------------------

CODE = """
import foa
def run(text: str) -> str:
    return text
def judge(draft, peers):
    return {}
def plan(request: str):
    return [{"id": "a", "text": request}]
def join(parts: list["foa.adapters.peers.Part"]) -> str:
    return "; ".join(one.value for one in parts)
""".replace('list["foa.adapters.peers.Part"]', "list[Part]").replace(
    "import foa", "from foa.adapters.peers import Part"
)
ROLES = "".join(f'{role} = "handler.py:{name}"\n' for role, name in
                (("critique", "judge"), ("plan", "plan"), ("synthesise", "join")))  # fmt: skip


def test_a_profile_names_functions_and_declares_their_skills(tmp_path: Path) -> None:
    python(tmp_path, CODE, more=ROLES, inputs="text text/plain optional")
    declared = load(tmp_path)
    assert [skill.id for skill in declared.profile.skills] == ["do-it", "plan", "synthesise"]
    assert declared.profile.refines
    assert declared.profile.outputs[-1] == PLAN_PORT
    runner = runner_for(declared)
    assert isinstance(runner, Planner)
    assert isinstance(runner, Synthesiser)
    run(runner.start())
    assert said(run(runner.plan(Assignment("x")))) == [b'{"subtask":[{"id":"a","text":"x"}]}']
    assert said(run(runner.synthesise(Assignment("x", inputs=inputs_of([text("one", source="a")]))))) == [b"one"]
    assert said(run(runner.run(Assignment("x")))) == [b"x"]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ('plan = "lost.py:plan"', 'run.plan: "lost.py:plan": lost.py does not exist in {folder}'),
        ('jobs = ["plan"]', 'run: jobs goes with command and http; python names functions: plan = "handler.py:plan"'),
        ('critique = "judge"', 'run.critique: "judge": must be file.py:function, such as handler.py:run'),
    ],
)
def test_mistakes_of_roles_are_one_line(tmp_path: Path, more: str, line: str) -> None:
    python(tmp_path, CODE, more=more)
    assert problems(tmp_path) == [f"profile.toml: {line}".replace("{folder}", str(tmp_path))]


def test_what_acts_once_takes_part_in_no_team(tmp_path: Path) -> None:
    python(tmp_path, CODE, more='critique = "handler.py:judge"', top='effects = "once"')
    assert problems(tmp_path) == [
        'profile.toml: effects = "once" and run.critique exclude each other: a team would act more than once'
    ]


def test_a_decorated_planner_in_a_file_is_to_be_declared(tmp_path: Path) -> None:
    code = "import foa\n@foa.agent('a/b/c', description='x')\ndef run() -> str:\n    return ''\n"
    python(tmp_path, code + "@run.plan\ndef plan(request: str):\n    return []\n")
    with pytest.raises(ConfigError, match=r"run.plan: is missing, add plan = "):
        run(runner_for(load(tmp_path)).start())


# --- documents --------------------------------------------------------------------------------------------


def program(folder: Path, script: str, more: str = "", top: str = "refines = true", **declared: str) -> Conversation:
    runner = runner_for(load(declare(folder, f"{shell(script)}\n{more}", top=top, **declared)))
    assert isinstance(runner, Conversation)
    run(runner.start())
    return runner


def test_a_program_is_told_its_job_and_who_said_what(tmp_path: Path) -> None:
    (tmp_path / "seen.json").touch()
    runner = program(tmp_path, "cat > seen.json; echo null")
    known = (peer(A2, "Y", critique="too loud", confidence=0.5),)
    assert run(runner.revise(Assignment("x", round=1, peers=known), (text("X"),), ((text("Y"),),))) is None
    seen = msgspec.json.decode((tmp_path / "seen.json").read_bytes())
    assert (seen["job"], seen["critiques"]) == ("revise", {A2: "too loud"})
    assert seen["from"] == [{"agent": A2, "confidence": 0.5, "guest": False}]
    assert seen["peers"][0]["result"]["text"] == "Y"


def test_a_program_critiques_if_it_says_so(tmp_path: Path) -> None:
    answer = f'{{"critiques": {{"{A2}": {{"text": "hm", "score": 0.5}}, "o/u/s": "x"}}}}'
    runner = program(tmp_path, f"echo '{answer}'", 'jobs = ["critique"]', top="")
    assert runner.profile.refines
    assert run(runner.critique(Assignment("x"), (text("X"),), (peer(A2, "Y"),))) == {A2: Critique(A2, "hm", 0.5)}
    (tmp_path / "b").mkdir()
    silent = program(tmp_path / "b", "exit 1")
    assert run(silent.critique(Assignment("x"), (text("X"),), (peer(A2, "Y"),))) == {}


def test_a_program_plans_with_all_that_is_known(tmp_path: Path) -> None:
    script = """grep -q '"job":"plan"' && echo '{"subtask": [{"id": "a", "text": "x"}]}'"""
    runner = program(tmp_path, script, 'jobs = ["plan"]')
    assert [skill.id for skill in runner.profile.skills] == ["do-it", "plan"]
    (found,) = run(runner.plan(Assignment("x", inputs=inputs_of([as_json("agents", [])]))))
    assert (found.name, found.value.type) == ("plan", "plan")


def test_a_program_makes_one_of_parts(tmp_path: Path) -> None:
    runner = program(tmp_path, "grep -o '\"source\":\"[ab]\"' | tr -d '\\n'", 'jobs = ["synthesise"]')
    given = inputs_of([text("one", source="a"), text("two", source="b"), text("mine")])
    assert said(run(runner.synthesise(Assignment("x", inputs=given)))) == [b'"source":"a""source":"b"']


def test_a_program_bills_and_says_how_sure_it_is(tmp_path: Path) -> None:
    told: list[Any] = []
    usage = '"usage": {"usd": 0.5, "tokens_in": 7}, "confidence": 0.25'
    runner = program(tmp_path, f"""echo '{{"outputs": {{"result": "done"}}, {usage}}}'""")
    work = Assignment("x", charge=lambda usd, tokens_in, tokens_out: told.append((usd, tokens_in, tokens_out)),
                      confident=told.append)  # fmt: skip
    assert said(run(runner.run(work))) == [b"done"]
    assert told == [(0.5, 7, 0), 0.25]
    (tmp_path / "b").mkdir()
    lying = program(tmp_path / "b", """echo '{"outputs": {"result": "x"}, "usage": {"usd": "much"}}'""")
    with pytest.raises(AgentFailed, match="lies about its types"):
        run(lying.run(Assignment("x")))


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        ('{"ask": {"question": "which?", "options": ["a", "b"]}}', foa.Ask, "which?"),
        ('{"refute": {"source": "load", "reason": "empty"}}', foa.Refute, "load: empty"),
    ],
)
def test_a_program_asks_and_refutes(tmp_path: Path, answer: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        run(program(tmp_path, f"echo '{answer}'").run(Assignment("x")))


@pytest.mark.parametrize("answer", ['{"ask":{"question":3}}', '{"ask":{"question":"x"},"more":1}', '{"ask":"me"}'])
def test_what_only_looks_like_a_question_is_an_answer(tmp_path: Path, answer: str) -> None:
    runner = runner_for(load(declare(tmp_path, shell(f"printf '%s' '{answer}'"), "all application/json")))
    run(runner.start())
    assert said(run(runner.run(Assignment("x")))) == [answer.encode()]


def test_missing_inputs_are_declined_in_a_round_too(tmp_path: Path) -> None:
    runner = program(tmp_path, "cat", inputs="table text/csv")
    with pytest.raises(Decline):
        run(runner.revise(Assignment("x", round=1), (text("X"),), ()))
