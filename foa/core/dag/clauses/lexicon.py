"""The words the clauses planner knows: English verbs by what they do to their object, and closed word classes.

Read by `foa.core.dag.clauses.segments`, `clauses` and `references`. The lists are general English for work one can ask
for; nothing in them stands for a single request. A ``*`` marks a verb that is a noun just as often ("chart",
"report"): it counts as a verb only where something after it says so.
"""

import re
from enum import IntEnum
from typing import Final


class Stage(IntEnum):
    """What a verb does to its object, in the order work usually goes; a later stage uses what earlier ones leave."""

    ACQUIRE = 0
    PREPARE = 1
    OBSERVE = 2
    MAKE = 3
    VERIFY = 4
    PRESENT = 5
    DELIVER = 6


UNCHANGING: Final = frozenset({Stage.OBSERVE, Stage.VERIFY})
"""Stages whose verbs leave their object as it was: "profile this data ... in it" is still the same data."""

_TABLE: Final = {
    Stage.ACQUIRE: """
        acquire ask bring collect crawl download fetch find gather get *google import *load locate look obtain
        pull query *record retrieve scan scrape *search seek *source take browse hire recruit buy *purchase choose
        pick select gain receive borrow *rent interview *survey discover mine *sample *access enter""",
    Stage.PREPARE: """
        add adapt adjust aggregate align annotate anonymize append apply arrange assign attach augment boil change
        chop classify clean cluster combine compress configure connect consolidate convert cook correct crop *cut
        decode decompress decrypt deduplicate delete discard *drop edit embed encode encrypt enrich erase exclude
        expand extract fill *filter *fix *format group harmonize impute *index initialize insert install integrate
        isolate join *label map mark mask merge migrate *mix modify move normalize open optimize organize parse
        *patch peel pour preheat prepare preprocess *process *program prune redact reduce refactor refine reformat
        remove rename reorder repair replace reset resample resize *resolve restore restructure rewrite rinse *roast
        rotate *scale *set setup *shuffle simplify slice *sort split standardize *stir strip structure tag tidy
        tokenize transcode transcribe transform transpose trim tune turn unzip *update upgrade wash wipe heat melt
        bake fry dry *wrap fold""",
    Stage.OBSERVE: """
        analyze analyse *account assess *audit browse calculate characterize compare compute consider
        contrast *count debug detect determine diagnose *estimate examine explore *forecast identify
        *inspect investigate *judge *list measure model *monitor observe *note *number perform predict *price
        *profile quantify *rank *rate read research *review *score *simulate solve *study track understand *watch
        *weigh listen learn infer derive *reason think *guess spot *trace decide enumerate categorize prioritize
        interpret correlate *outline brainstorm critique""",
    Stage.MAKE: """
        answer assemble author build code compose create *design develop devise *draft *engineer establish execute
        *fit fine-tune finetune generate implement invent make *paint *paraphrase *plan *pitch produce *prompt propose
        *prototype render *script *schedule *sketch *stage synthesize train translate vectorize write rephrase reply
        respond form formulate *run *start begin launch *use *dress play *cast construct *paste rehearse pack summon sew
        knit carve grow""",
    Stage.VERIFY: """
        check confirm debate evaluate ensure *prove *proofread *test validate verify double-check cross-check fact-check
        *stress-test certify benchmark *match reconcile inspect""",
    Stage.PRESENT: """
        *chart compile conclude define demonstrate depict describe *detail discuss display *document *draw elaborate
        explain *export *finish *graph highlight illustrate justify *name *plot present print propose put recap
        recommend *report show *state suggest summarise summarize tabulate tell visualise visualize write-up advise cite
        finalize quote""",
    Stage.DELIVER: """
        alert announce archive backup *book call cancel *commit *contact deliver deploy *email *file forward give
        *hand inform invite log *mail *message notify *order pay *post *publish push *release remind reserve
        *return save schedule send serve *share *ship store submit tweet upload *visit *text *transfer *trade *stop
        close register subscribe sign drive fly go travel walk ride attend meet host hold bid sell donate repay""",
}


def _read() -> tuple[dict[str, Stage], frozenset[str]]:
    stages: dict[str, Stage] = {}
    nouns: set[str] = set()
    for stage, words in _TABLE.items():
        for word in words.split():
            stages.setdefault(word.lstrip("*"), stage)
            if word.startswith("*"):
                nouns.add(word[1:])
    return stages, frozenset(nouns)


VERBS, NOUNS_TOO = _read()


def words(text: str) -> frozenset[str]:
    """Return the set of the words in `text`: a closed word class, readable."""
    return frozenset(text.split())


NUMBERS: Final = words("one two three four five six seven eight nine ten several many")
DETERMINERS: Final = NUMBERS | words(
    "the a an this these those my our your their its his her all each every any some no both another more most"
)
OPENERS: Final = DETERMINERS | words(
    "that me us it them him you what which who whom whose how whether where when why whatever if everything"
    " anything something everyone myself yourself different new possible relevant potential"
)
"""What may follow a verb and hardly ever a noun."""

POINTING: Final = words("this these that those my our your attached given following provided above same")
"""Determiners of what the asker already has."""

PREPOSITIONS: Final = words(
    "of in on at by for from with without about into onto to over under between among through during against across"
    " per via within towards toward upon after before since until as than like near regarding concerning covering"
    " describing explaining using based including such"
)
AUXILIARIES: Final = words(
    "is are was were be been being has have had do does did will would can could should may might must"
)
QUESTIONS: Final = words(
    "what who whom whose which when where why how is are was were do does did can could should will"
)
CONJUNCTIONS: Final = words("and or but nor so yet because although though while whereas unless if whether that who")
STOP: Final = (
    PREPOSITIONS
    | AUXILIARIES
    | CONJUNCTIONS
    | QUESTIONS
    | OPENERS
    | words("not only also then thus hence too very just once now here there today yesterday tomorrow up down out off")
    | words("however therefore instead perhaps maybe even still already again soon later next first last")
)

DOCUMENTS: Final = words(
    "report summary answer overview conclusion recommendation memo brief briefing digest presentation slide deck"
    " write-up writeup dashboard synopsis abstract verdict document recap takeaway"
)
"""What a request usually ends in: made without a topic of its own, it gathers all that came before."""

PERSONAL: Final = words("move go travel fly attend meet visit drive walk ride host play")
"""What the asker does: "I need to move to Lisbon" is said, not asked."""

RESULTS: Final = words(
    "result finding output outcome insight conclusion information detail observation anomaly discrepancy data analysis"
)
GATHERING: Final = words(
    "compare merge combine join consolidate integrate summarize summarise contrast rank reconcile compile assemble"
    " aggregate synthesize conclude recap report present wrap"
)
"""Verbs that take all they find in front of them."""

CHOOSING: Final = words("pick choose select recommend decide suggest book buy order reserve")
ASKING: Final = words(
    "find discover determine identify explain know tell describe learn see check ask understand figure research"
    " investigate define calculate compute predict estimate guess look say decide analyze analyse clarify state"
)
"""Verbs after which "what ..." is a question; after any other it means what is known already."""

NOMINAL: Final = {
    "analyze": "analysis", "analyse": "analysis", "summarize": "summary", "summarise": "summary",
    "translate": "translation", "compare": "comparison", "evaluate": "evaluation", "predict": "prediction",
    "classify": "classification", "transcribe": "transcript", "visualize": "visualization", "describe": "description",
    "recommend": "recommendation", "calculate": "calculation", "simulate": "simulation", "train": "model",
    "implement": "implementation", "plot": "plot", "chart": "chart", "draft": "draft", "design": "design",
    "outline": "outline", "forecast": "forecast", "review": "review", "report": "report", "test": "test",
    "rank": "ranking", "list": "list", "estimate": "estimate", "score": "score", "survey": "survey",
    "assess": "assessment", "profile": "profile", "cluster": "cluster", "search": "result",
}  # fmt: skip

_VERBAL: Final = re.compile(r"(?:re|pre|un|de|over|co|cross|auto)-?([a-z]{3,})")
_SUFFIX: Final = re.compile(r"[a-z]{3,}(?:ify|alize|ilize|imize|erize|orize|atize|onize|alise|ilise|imise|orise)")


def base(word: str) -> str:
    """Return the verb if `word`, in lower case, is one in its base form, known or by its shape; "" otherwise."""
    if word in VERBS or _SUFFIX.fullmatch(word):
        return word
    found = _VERBAL.fullmatch(word)
    return word if found and found[1] in VERBS and found[1] not in NOUNS_TOO else ""


def stage(verb: str) -> Stage:
    """Return what `verb` does; what we do not know makes something."""
    if verb in VERBS:
        return VERBS[verb]
    found = _VERBAL.fullmatch(verb)
    return VERBS.get(found[1], Stage.MAKE) if found else Stage.MAKE


def from_gerund(word: str) -> str:
    """Return the known verb whose -ing form `word` is; "" if there is none."""
    if not word.endswith("ing") or len(word) < 5:  # noqa: PLR2004 - "going"
        return ""
    stem = word[:-3]
    tries = [stem, stem + "e"]
    if stem[-1:] == stem[-2:-1]:
        tries.append(stem[:-1])
    return next((one for one in tries if base(one)), "")


def singular(word: str) -> str:
    """Return a noun without its plural ending, roughly: enough to see that two mentions are of one thing."""
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004 - "ties"
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
