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


CHANGING: Final = Stage.PREPARE
"""The stage whose verbs change what is there: two changes do not commute, so they keep their order."""

UNCHANGING: Final = frozenset({Stage.OBSERVE, Stage.VERIFY})
"""Stages whose verbs leave their object as it was: "profile this data ... in it" is still the same data."""

_TABLE: Final = {
    Stage.ACQUIRE: """
        *access acquire ask *back borrow bring browse buy choose *click clone collect crawl discover download
        *dump enter fetch find gain gather get *google hire import interview leave *load locate look mine
        navigate obtain pick *ping *poll *probe pull *purchase query receive *record recruit *rent retrieve
        *sample scan scrape scroll *search seek select *source *survey take *type""",
    Stage.PREPARE: """
        activate adapt add adjust aggregate align annotate anonymize append apply approve arrange assign attach
        augment automate average bake blend block boil boost change chill chop classify clean cluster *coat
        combine compress configure connect consolidate convert cook correct crop customize *cut deactivate
        decode decompress decrypt deduplicate delete detach disable discard divide *drain *drill *drop dry edit
        eliminate embed enable encode encrypt enrich erase exclude expand extract factor fasten fill *filter
        *fix *flag fold *format freeze fry garnish *glue *grate group hang harmonize heat impute increase *index
        initialize insert install integrate isolate itemize join knead *label lengthen lower map marinate mark
        mask melt merge migrate *mix modify mop move multiply *nail normalize open optimize organize parse
        *patch peel polish pour preheat prepare preprocess *process *program prune *raise reboot redact redo
        reduce refactor refine reformat reject remove rename reorder reorganize repair replace resample reset
        resize *resolve restart restore restrict restructure *revert rewrite rinse *roast roll rotate round
        *route *sand *scale *screw season *set setup shorten *shuffle simmer simplify slice soak *sort split
        *spread sprinkle *squeeze standardize *stir strip structure substitute subtract *sum swap sweep *switch
        tag tidy *tie toast tokenize transcode transcribe transform transpose trim tune turn tweak undo
        *uninstall unzip *update upgrade vacuum *vote wash whisk wipe wire *wrap""",
    Stage.OBSERVE: """
        *account analyse analyze assess *audit brainstorm calculate categorize characterize compare compute
        consider contrast coordinate correlate *count critique debug decide derive detect determine diagnose
        differentiate enumerate *estimate examine explore *forecast *guess handle identify infer *inspect
        interpret investigate *judge lead learn *list listen manage measure mediate memorize model *monitor
        negotiate *note *number observe operate *outline oversee perform practice practise predict *price
        prioritize *profile quantify *rank *rate read *reason research *review *score *simulate solve spot
        *study supervise think *trace track understand *watch *weigh""",
    Stage.MAKE: """
        administer advertise answer assemble author begin *bill *budget build carve *cast coach code complete
        compose construct continue create deal *design develop devise *draft *dress *engineer establish execute
        fine-tune finetune *fit form formulate generate grow *guide implement invent *invoice knit launch make
        *market mentor mock *offer onboard pack *paint *paraphrase *paste *pitch *plan play produce promote
        *prompt propose *prototype provide *refund rehearse render repeat rephrase reply rerun respond *run
        *schedule *script sew *sketch specify *sponsor *stage *start summon supply synthesize teach train
        translate *use vectorize write""",
    Stage.VERIFY: """
        benchmark certify check confirm cross-check debate double-check ensure evaluate fact-check *match
        *proofread *prove reconcile *stress-test *test validate verify""",
    Stage.PRESENT: """
        advise *chart cite compile conclude define demonstrate depict describe *detail discuss display *document
        *draw elaborate explain *export finalize *finish *graph highlight illustrate justify *name *plot present
        print put quote recap recommend *report show *state suggest summarise summarize tabulate tell visualise
        visualize write-up""",
    Stage.DELIVER: """
        alert announce archive attend backup bid *book *broadcast call cancel close *commit *contact delegate
        deliver deploy distribute donate drive *email *escalate *file fly forward give go *hand hold host inform
        invite kill log *login logout *mail meet *mention *message notify *order *page pay *post *publish push
        register *release remind repay reserve *return ride rollback save sell send serve *share *ship sign
        *stop store *stream submit subscribe terminate *text *trade *transfer travel tweet upload *visit walk""",
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
_SUFFIX: Final = re.compile(r"[a-z]{3,}(?:ify|[a-z]ize|alise|ilise|imise|erise|orise|onise)")


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
    if len(word) < 3:  # noqa: PLR2004 - "s", "is"
        return word
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004 - "ties"
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
