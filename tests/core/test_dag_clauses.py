"""The clauses planner: what is cut, what stays whole, who waits for whom, and that no text does it harm."""

import re
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foa.core.dag.clauses import MAX_CLAUSES, clauses, is_atomic, propose
from foa.core.dag.clauses.lexicon import _TABLE, VERBS, base, from_gerund, singular
from foa.core.dag.plan import check, order, reduced
from foa.wire.records import MAX_TEXT, Plan, Port

DEMO = "Profile this data, find what is unusual in it, chart what matters, and write a report"


def shape(plan: Plan) -> str:
    """Write a plan as "1-load 2-plot<1"."""
    before: dict[str, list[str]] = {}
    for one, other in plan.edges:
        before.setdefault(other, []).append(one.split("-")[0])
    return " ".join(
        subtask.id + ("<" + ",".join(before[subtask.id]) if subtask.id in before else "") for subtask in plan.subtasks
    )


def texts(plan: Plan) -> list[str]:
    return [subtask.text for subtask in plan.subtasks]


def test_the_demo() -> None:
    plan = propose(DEMO, (Port("data", "text/csv"),))
    assert shape(plan) == "1-profile 2-find 3-chart<1,2 4-write<3"
    assert texts(plan) == [
        "Profile this data",
        "find what is unusual in this data",
        "chart what matters",
        "write a report",
    ]
    assert plan.origin == ("clauses",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # order words
        ("Load the data, then plot it", "1-load 2-plot<1"),
        ("First fetch the logs. Next, count the errors. Finally, write a summary.", "1-fetch 2-count<1 3-write<2"),
        ("Draft a memo and then send it to Anna", "1-draft 2-send<1"),
        ("Book a room and a flight, then tell Bob, then email Carol", "1-book 2-tell<1 3-email<2"),
        ("Before training a model, clean the data and impute missing values", "1-clean 2-impute<1 3-train<2"),
        ("After cleaning the data, train a model", "1-clean 2-train<1"),
        ("Clean the data before plotting the totals", "1-clean 2-plot<1"),
        ("Plot the totals after cleaning the data", "1-clean 2-plot<1"),
        ("Clean the data. After cleaning the data, train a model.", "1-clean 2-train<1"),
        ("Compile the code. Once that is done, run the benchmark.", "1-compile 2-run<1"),
        # parallel words
        (
            "Draft the plan. Meanwhile, survey our users. Then present both to the board.",
            "1-draft 2-survey 3-present<1,2",
        ),
        ("Both review the contract and check the budget, then draft a reply", "1-review 2-check 3-draft<1,2"),
        ("Translate the letter and convert the video in parallel", "1-translate 2-convert"),
        # references back
        (
            "Write a poem about the sea, translate it into Spanish and illustrate it",
            "1-write 2-translate<1 3-illustrate<2",
        ),
        ("Find hotels in Rome. Find flights to Rome. Compare the results.", "1-find 2-find 3-compare<1,2"),
        ("Draft three slogans. Rank them by originality. Print the winner.", "1-draft 2-rank<1 3-print<2"),
        ("Summarize the paper. Post the summary on the wiki.", "1-summarize 2-post<1"),
        ("Research the market. Based on that, write a plan for the launch.", "1-research 2-write<1"),
        (
            "Interview ten users. Read the logs. From these findings, suggest a redesign.",
            "1-interview 2-read 3-suggest<1,2",
        ),
        ("List five hotels, check their prices, and book the cheapest one", "1-list 2-check<1 3-book<2"),
        ("Check if my token is valid. If it's valid, fetch my orders.", "1-check 2-fetch<1"),
        # closing
        ("Check the weather in Oslo. Look up train times. Write a short summary.", "1-check 2-look 3-write<1,2"),
        ("Book a flight to Rome. Write a report on penguins.", "1-book 2-write"),
        ("Review this contract. Review the invoice. Combine everything.", "1-review 2-review 3-combine<1,2"),
        # work of a later stage in one sentence
        (
            "Download the CSV, clean it, train a classifier and evaluate accuracy",
            "1-download 2-clean<1 3-train<2 4-evaluate<3",
        ),
        ("Fetch the users and plot monthly revenue", "1-fetch 2-plot<1"),
        ("Compress all images, enable caching, and measure the load times", "1-compress 2-enable<1 3-measure<2"),
        ("- Back up the database\n- Upgrade the server\n- Verify the row counts", "1-back 2-upgrade<1 3-verify<2"),
        ("Clone the repository and run the tests, and if any fails, open a ticket", "1-clone 2-run<1 3-open<2"),
        ("Transcribe the episode and, based on the transcript, write show notes", "1-transcribe 2-write<1"),
        # independent
        ("Tell me a joke. Summarize Hamlet. Translate hello into French.", "1-tell 2-summarize 3-translate"),
        ("What is the GDP of Japan, and when was Rome founded?", "1-answer 2-answer"),
        # conditions
        ("Check the inventory, and if anything is low, order more", "1-check 2-order<1"),
        ("If the accuracy is low, retrain the model and notify me", "1-retrain 2-notify<1"),
        # shared objects
        ("Translate, summarize and index these documents", "1-translate 2-summarize<1 3-index<2"),
    ],
)
def test_who_waits_for_whom(text: str, expected: str) -> None:
    plan = propose(text)
    assert check(plan) is None
    assert shape(plan) == expected
    assert shape(plan) == shape(reduced(plan))
    assert [subtask.id for subtask in plan.subtasks] == list(order(plan)) or "<" in expected


@pytest.mark.parametrize(
    "text",
    [
        "Compare apples, pears and plums",
        "Clean and normalize the data.",
        "List the name, rank and score of each player",
        "Find the price, order history and address of customer 5",
        "Sum 1,000, 2,000 and 3,500",
        'Translate "buy milk, call mom and write a letter" into French',
        "Run `find . -name x; sort y, then write z`",
        "Explain how to cook rice and clean the pot",
        "Find companies that make cars and sell boats",
        "Build an app that allows users to upload files and share links",
        "What is the capital of France and how many people live there?",
        "Translate this sentence: find the book, read it and bring it to me",
        "Summarize the following article:\n\nGo home. Write a book. Find peace, then rest.",
        "If it rains, close the window; otherwise water the plants and open the door.",
        "Compare the following fruits:\n- apples\n- pears\n- plums",
        "My ID is 123456, and my name is Bob, please find my order",
        "Do not use external sources. Explain entropy. Keep it short.",
        "Hi! Could you find a good restaurant? Thanks!",
        "Order data is in orders.csv.",
        "Fetch https://example.com/a,b;find=x&then=write",
        # other languages stay whole
        "Analysiere die Daten, finde Ausreißer und schreibe einen Bericht",
        "Analiza los datos, busca anomalías y escribe un informe",
        "分析数据,找出异常,然后写报告",
        # nothing to do
        "",
        "   \n\n ",
        "?!",
        "...",
        "\x00\x01",
        "meanwhile",
        "and then",
    ],
)
def test_what_stays_whole(text: str) -> None:
    plan = propose(text)
    assert len(plan.subtasks) == 1
    assert check(plan) is None
    assert plan.subtasks[0].text == (text.strip() or ".")
    assert is_atomic(text)
    assert clauses(text) == (text.strip(),)


def test_lists() -> None:
    bullets = "Please do the following:\n- Collect the logs\n- Count errors per hour\n- Plot the error rate"
    assert shape(propose(bullets)) == "1-collect 2-count<1 3-plot<2"
    steps = "1. Preheat the oven to 200 C\n2. Mix flour, sugar and eggs\n3. Bake for 30 minutes"
    assert shape(propose(steps)) == "1-preheat 2-mix<1 3-bake<2"
    inline = "Please 1) fetch the file 2) unzip it 3) count the lines"
    assert shape(propose(inline)) == "1-fetch 2-unzip<1 3-count<2"
    independent = "* Book a flight to Oslo\n* Reserve a table for two\n\n* Order flowers for Anna"
    assert shape(propose(independent)) == "1-book 2-reserve 3-order"
    led = propose("Prepare the quarterly review:\n- collect the numbers\n- draft the slides")
    assert texts(led)[0] == "Prepare the quarterly review: collect the numbers"
    headed = propose("Plan a trip to Kyoto: find flights, reserve a hotel, and make a timetable")
    assert [text.split(":")[0] for text in texts(headed)] == ["Plan a trip to Kyoto"] * 3


def test_each_subtask_can_be_read_alone() -> None:
    said = "I have a CSV of sales. Clean it, then forecast next quarter. Finally email the result to Anna. Be brief."
    plan = propose(said)
    assert texts(plan) == [
        "I have a CSV of sales. Clean it",
        "forecast next quarter",
        "email the result to Anna. Be brief",
    ]
    plan = propose("Download a file, print its size and send it to Bob")
    assert texts(plan) == ["Download a file", "print the file's size", "send the file's size to Bob"]
    plan = propose("For each city in cities.csv, look up the population and compute the density")
    assert texts(plan)[1] == "For each city in cities.csv, compute the density"
    plan = propose("I want you to find three papers, and could you please summarize them?")
    assert texts(plan) == ["find three papers", "summarize the three papers?"]
    plan = propose("Fetch https://example.com/a,b;find=x and summarize it")
    assert texts(plan) == ["Fetch https://example.com/a,b;find=x", "summarize https://example.com/a,b;find=x"]


TEN = """
Fetch last month's server logs, group the errors by service, find the root cause of the most frequent one, and
draft an incident report for the ops team.

I need to move to Lisbon in May. Compare three neighbourhoods, estimate monthly living costs, and check which
visa I need. Then put it all into a one-page plan.

Review this contract for unusual clauses; meanwhile, look up the company's court records. After that, write me
a risk assessment and suggest changes to the contract.

Generate 20 slogan ideas for a vegan bakery, rank them by originality, translate the top three into French and
Spanish, and mock up a poster for the winner.

1. Install PostgreSQL on the staging server
2. Restore last night's backup
3. Run the migration scripts
4. Compare row counts before and after

Before you deploy, run the unit tests and the linter. If any test fails, open a ticket and stop; otherwise tag
the release and announce it in #general.

Transcribe the attached interview, identify the speakers, and extract the five best quotes. Separately,
research the guest's biography. Finally compile a newsletter from both.

Could you please download https://example.org/data.zip, unzip it, count the rows in each CSV and tell me which
file is the largest?

Scrape prices of the 50 best-selling laptops, remove duplicates, build a regression model, validate the model
on a hold-out set, and visualize the residuals.

Write a Python function that parses dates and handles time zones, document it, and publish the package to
PyPI.
""".strip().split("\n\n")


def test_ten_requests_give_ten_different_plans() -> None:
    plans = [propose(text) for text in TEN]
    assert all(check(plan) is None for plan in plans)
    assert all(len(plan.subtasks) > 1 for plan in plans)
    assert len({msgspec.json.encode(plan) for plan in plans}) == 10
    assert len({shape(plan) for plan in plans}) == 10


# --- harm -------------------------------------------------------------------------------------------------

NASTY = [
    *(
        " ",
        "1",
        ".",
        '"',
        "'",
        "(",
        "()",
        "`",
        "```",
        "{",
        "„",
        "/",
        "a",
        "\n",
        "\x00",
        "\ue000",
        "a.b ",
        "http://",
        ", ",
    ),
    *("and ", "then ", "please ", "find ", "for x, ", "the that ", "do: ", "a, b. ", "It is so. ", "1. a 2. b "),
    *(
        "- find x\n",
        "\t- ",
        "if it rains, ",
        "after cleaning the data, ",
        "find the thing: ",
        "do this:\n- find it\n\n",
    ),
    "clean the data before training the model ",
    "profile the data and write a report, ",
    "Find the quick fox and write about it. ",
]


@pytest.mark.slow
@pytest.mark.parametrize("unit", NASTY)
def test_long_texts_are_read_in_linear_time(unit: str) -> None:
    """64 KiB take some 30 ms; the bar leaves room for a busy machine, none for a square."""
    text = (unit * (MAX_TEXT // len(unit) + 1))[:MAX_TEXT]
    took = []
    for _ in range(2):
        begun = time.perf_counter()
        plan = propose(text)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.4
    assert check(plan) is None
    assert len(plan.subtasks) <= MAX_CLAUSES


WORDS = re.findall(
    r"\S+",
    """find write report it them and then if after the a data plot first finally before training both what matters
    cleaning sorting
    otherwise each results this , . ; : - ? " ' ( ) ` 1.""",
)
words = st.sampled_from([*WORDS, "\n"]) | st.sampled_from([*sorted(VERBS), "planning", "s", "'s", "a's", "1s"])


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=40).map(" ".join) | st.text(max_size=200))
def test_any_text_gives_a_valid_plan(text: str) -> None:
    plan = propose(text)
    assert check(plan) is None
    assert shape(plan) == shape(reduced(plan))
    assert is_atomic(text) == (len(plan.subtasks) == 1)
    assert len(clauses(text)) == len(plan.subtasks)
    places = {subtask.id: at for at, subtask in enumerate(plan.subtasks)}
    assert all(places[one] < places[other] for one, other in plan.edges)


def test_a_document_is_not_a_list_of_things_to_do() -> None:
    assert is_atomic("Find it. " * (MAX_CLAUSES + 1))
    assert len(propose("Find it. " * 5).subtasks) == 5


def test_the_same_under_any_hash_seed() -> None:
    """Sets of words are looked up, never walked."""
    program = (
        "import sys; from foa.core.dag.clauses import propose; assert 'networkx' not in sys.modules;"
        f"print([propose(text) for text in {[DEMO, *TEN]!r}])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "known"),
    [
        (base, "find:find reformat:reformat modernize:modernize exercise: size: climate: apples:"),
        (from_gerund, "training:train cleaning:clean planning:plan merging:merge spring: going:go thing:"),
        (singular, "reports:report summaries:summary classes:class analysis:analysis boxes:box ties:tie bus:bus"),
    ],
)
def test_words(read: Callable[[str], str], known: str) -> None:
    assert " ".join(f"{word}:{read(word)}" for word in re.findall(r"(\w+):", known)) == known


def test_no_verb_stands_at_two_stages() -> None:
    listed = [word.lstrip("*") for words in _TABLE.values() for word in words.split()]
    assert len(listed) == len(set(listed))
