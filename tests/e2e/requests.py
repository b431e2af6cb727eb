"""Ten requests as people write them, and what they are about: half text, half data. Nothing here was tuned for.

`test_requests` has them done. They were written before the agents that do them; none of the tables, columns and
letters is used elsewhere.
"""

from typing import Final, NamedTuple


class Request(NamedTuple):
    """One request: its words, its inputs by name, and the types of what must come of it."""

    name: str
    text: str
    inputs: dict[str, str]
    yields: frozenset[str]


MINUTES: Final = """\
Minutes of the allotment association, 12 March 2026
Present: Irma Vogel (chair), Tom Adeyemi, Paula Reyes, Stefan Holt

1. Water
The old pump by the east gate failed twice in February. The repair shop in Wendlingen says a new seal would hold one
more summer, but not two. The members agreed that a new pump is the cheaper choice over five years. Nobody wants to
carry cans through July again.
Action: Tom will ask three dealers for offers by 20 March 2026.
Action: Irma to tell the city about the planned works before 2026-04-02.

2. Summer party
Last year's party cost 412.50 EUR and brought in 530 EUR. The tent may be borrowed from the fire brigade if we return
it dry. Paula thinks Saturday is better than Sunday because of the market.
- Paula will book the band by 1 April 2026.
- Stefan will write the invitation until the end of May.

3. Other
The compost heap behind plot 17 is too close to the fence. The owner has been told. The next meeting is on
9 April 2026 in the club house at 19:00.
"""

LETTER: Final = """\
Dear Ms Okafor,

With reference to our telephone conversation of 3 February 2026, I write to you concerning the lease of the shop at
14 Tanner Street. As you know, the rent has remained at $1,850.00 a month since 2021. In view of rising costs, and
after long thought, the owners have decided that the rent will rise to $2,035.00 a month from 1 July 2026. The deposit
of $5,550.00 remains unchanged.

We would also like to remind you that the service charge for 2025, which comes to $612.40, was due on 31 January 2026
and has not been received so far. Please transfer it by 28 February 2026, or get in touch with Mr. Lindqvist at
accounts@tannerhold.example if you need more time.

On a happier note, the roof will at last be mended in May. The builders expect to need two weeks, during which the
back door cannot be used. We are sorry for the noise.

If you do not agree to the new rent, please tell us in writing before 15 April 2026, so that we can find a solution
together.

Yours sincerely,
Edmund Farrow
"""

LOG: Final = """\
2026-02-11 22:58:01 INFO  gateway: listening on 0.0.0.0:8443
2026-02-11 22:59:40 INFO  auth: user 1041 logged in
2026-02-11 23:04:12 WARN  cache: eviction took 412 ms
2026-02-11 23:10:05 ERROR db: connection to 10.0.3.17 refused after 3000 ms
2026-02-11 23:10:08 ERROR db: connection to 10.0.3.17 refused after 3001 ms
2026-02-11 23:10:15 ERROR db: connection to 10.0.3.18 refused after 2999 ms
2026-02-11 23:10:15 WARN  gateway: request 99812 waits for a connection
2026-02-11 23:11:00 INFO  db: reconnected to 10.0.3.17
2026-02-11 23:40:33 WARN  cache: eviction took 655 ms
2026-02-12 00:15:09 ERROR billing: invoice 77120 has no customer
2026-02-12 00:15:10 INFO  auth: user 2207 logged in
2026-02-12 01:02:44 ERROR db: connection to 10.0.3.17 refused after 3000 ms
2026-02-12 01:03:00 INFO  db: reconnected to 10.0.3.17
2026-02-12 02:30:00 INFO  backup: 18 tables written
"""

README: Final = """\
# Tidemark

Tidemark predicts the tides at small harbours from a few weeks of your own readings. It fits the harmonic
constituents that your readings can tell apart, and says how sure it is of each.

## Install

```sh
pip install tidemark
tidemark fit readings.csv --harbour kinsale
```

It needs Python 3.10 or later. See the [manual](https://tidemark.example/manual) for more.

## What it does not do

- storm surges: they are weather, not tide
- rivers: use a *hydraulic* model
- replace official tables for navigation

## Licence

MIT. Questions go to [the list](https://lists.tidemark.example/users).
"""

NOTES_OLD: Final = """\
Bread, batch 14.
Flour: 700 g wheat, 300 g rye.
Water: 680 g at 28 degrees.
Proof for four hours at room temperature.
Bake at 240 degrees for 45 minutes.
The crust was pale.
"""

NOTES_NEW: Final = """\
Bread, batch 15.
Flour: 700 g wheat, 300 g rye.
Water: 720 g at 28 degrees.
Proof for four hours at room temperature.
Then proof overnight in the fridge.
Bake at 250 degrees for 45 minutes.
The crust was dark and the crumb was open. The crumb stayed moist for three days, the crust for one.
"""


def _loans() -> str:
    """A library's loans: four branches, two kinds, days and fees."""
    rows = ["branch,medium,title_id,days_out,fee_eur"]
    branches = ("Harbour", "Hillside", "Old Town", "Station")
    for i in range(60):
        days = 7 + (i * 11) % 30
        fee = 0.0 if days <= 28 else round(0.25 * (days - 28) + (i % 4) * 0.5, 2)
        rows.append(f"{branches[(i * 7) % 4]},{'book' if i % 3 else 'film'},{4000 + i * 13},{days},{fee}")
    return "\n".join([*rows, ""])


def _rooms() -> str:
    """Readings of rooms: the CO2 follows the people in it, one row is absurd, one is there twice, two have gaps."""
    rows = ["room,people,co2_ppm,noise_db,lux"]
    for i in range(48):
        people = (i * 5) % 19
        co2 = 420 + people * 38 + (i * 17) % 23
        lux = "" if i in (9, 30) else str(300 + (i * 37) % 180)
        rows.append(f"R{100 + i % 6},{people},{co2},{35 + people * 1.2 + (i % 3):.1f},{lux}")
    rows.append("R103,4,9800,112.0,310")
    rows.append(rows[5])
    return "\n".join([*rows, ""])


def _harvest() -> str:
    """Orchards: kind of apple, kilograms, and a sugar reading."""
    rows = ["orchard,variety,picked_kg,brix"]
    kinds = ("Elstar", "Boskoop", "Topaz")
    rows += [f"O{i % 9 + 1},{kinds[i % 3]},{180 + i * 53 % 240},{10.5 + (i * 7 % 30) / 10:.1f}" for i in range(36)]
    return "\n".join([*rows, ""])


def _trips() -> str:
    """Bicycle trips: longer ones take longer and cost more."""
    rows = ["bike,km,minutes,price,weekday"]
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    for i in range(70):
        km = 0.8 + (i * 29 % 83) / 10
        rows.append(f"b{i * 31 % 17},{km:.1f},{km * 4.1 + (i * 13) % 7:.0f},{1 + km * 0.42:.2f},{days[i % 7]}")
    return "\n".join([*rows, ""])


LOANS: Final = _loans()
ROOMS: Final = _rooms()
HARVEST: Final = _harvest()
TRIPS: Final = _trips()

REQUESTS: Final = (
    Request(
        "minutes",
        "These are the minutes of our meeting. Summarise them in three sentences, and list who promised to do what "
        "by when.",
        {"text": MINUTES},
        frozenset({"text/plain"}),
    ),
    Request(
        "letter",
        "My landlord has written me this letter, which goes on for a whole page as they always do, so please first "
        "give me the gist of it in two sentences, and then pull out all the dates and the amounts of money it names.",
        {"letter": LETTER},
        frozenset({"text/plain"}),
    ),
    Request(
        "log",
        "Look through last night's server log: count the errors and warnings, show which messages repeat most, and "
        "if there were any errors, say when the first and the last of them happened.",
        {"log": LOG},
        frozenset({"text/plain"}),
    ),
    Request(
        "readme",
        "Extract the links from this README and turn it into an HTML page",
        {"readme": README},
        frozenset({"text/html"}),
    ),
    Request(
        "notes",
        "Compare the old notes with the new ones, tell me what changed between them, and find the keywords of the "
        "new notes",
        {"old": NOTES_OLD, "new": NOTES_NEW},
        frozenset({"text/plain"}),
    ),
    Request(
        "loans",
        "Keep only the loans of the Harbour and Hillside branches that were out for more than 20 days, sort them by "
        "fee_eur, highest first, and give me the top 5 as a CSV table.",
        {"loans": LOANS},
        frozenset({"text/csv"}),
    ),
    Request(
        "rooms",
        "Describe this data; if there are outliers, find out which rows they are and mark them in a chart; then put "
        "all of it together as an HTML page.",
        {"readings": ROOMS},
        frozenset({"text/html"}),
    ),
    Request(
        "harvest",
        "Add up picked_kg per variety, and draw a bar chart of the totals.",
        {"harvest": HARVEST},
        frozenset({"charts"}),
    ),
    Request(
        "trips",
        "I would like to know three things about these trips: which columns are correlated, which trips are unusual, "
        "and what the average price per weekday is.",
        {"trips": TRIPS},
        frozenset({"table-profile", "outliers", "text/csv"}),
    ),
    Request(
        "clean",
        "Remove duplicate rows and rows with missing values from the readings, then profile what remains, and write a "
        "short report about it",
        {"readings": ROOMS},
        frozenset({"text/html"}),
    ),
)
"""``yields`` names the types that must be among the outputs."""
