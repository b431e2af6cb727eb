"""How a task's meaning becomes few features: how near it is to each of some kinds of work, named in plain words.

The vector of a text has hundreds of dimensions; with a weight for each, per agent, a learner spends its life
exploring. Kinds of work are few, the same on every node without any training, and what was learned can be read
("good at: mathematics"). They are general, of no data set; a task between two kinds belongs to both in part.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from foa.core.learn.moments import Floats

VERSION: Final = 1
"""Of names, texts and formula together: what was learned with another version does not add to ours."""

KINDS: Final[dict[str, str]] = {
    "arithmetic": "calculate with numbers, a word problem about quantities, money or time",
    "algebra": "solve an equation, algebra, functions",
    "geometry": "geometry, shapes, angles and areas",
    "probability": "combinatorics, probability and counting",
    "proof": "mathematical proof, number theory",
    "functions": "write a function in Python",
    "algorithms": "algorithm on lists, strings and trees",
    "web": "write a web page or user interface",
    "databases": "database query, SQL",
    "debugging": "fix a bug in a program, review code, write tests",
    "systems": "how computers, networks and operating systems work",
    "security": "computer security, passwords and attacks",
    "trivia": "who, when, where: a question about a fact",
    "culture": "films, songs, books, games and famous people",
    "sports": "sports, teams and championships",
    "history": "history and politics",
    "geography": "geography, countries, cities and places",
    "physics": "physics, forces and energy",
    "chemistry": "chemistry, molecules and reactions",
    "biology": "biology, cells, genetics and evolution",
    "earth": "weather, earth and the environment, animals and plants",
    "common sense": "everyday objects and situations, common sense",
    "health": "health, medicine and nutrition",
    "law": "law, contracts and regulation",
    "ethics": "ethics, religion and philosophy",
    "economics": "economics, business and marketing",
    "finance": "finance, stocks, taxes and crypto",
    "psychology": "psychology, emotions and relationships",
    "logic": "logic puzzle, deduction from constraints",
    "language": "grammar, meaning and choice of words",
    "creative": "write a story, a poem or a scene",
    "letters": "write an email, a letter or a report",
    "translation": "translate to another language",
    "summary": "summarise a document or an article",
    "editing": "rewrite, correct or shorten a text",
    "extraction": "extract data from a document",
    "classification": "classify the sentiment or the topic of a text",
    "analysis": "analyse a table, statistics, a chart",
    "planning": "plan a project, a schedule or a meeting",
    "travel": "plan a trip, book flights and hotels",
    "search": "search the web for news",
    "shopping": "shopping and product recommendations",
    "cooking": "recipes, cooking and restaurants",
    "images": "generate, edit or recognise an image",
    "audio": "music, speech and audio",
    "video": "video and animation",
    "devices": "control a device, robot or smart home",
    "conversation": "casual conversation, advice and humour",
    "teaching": "teach, explain, prepare an exam",
    "career": "job search, career and resume",
}
"""By name, the text that is embedded."""

NAMES: Final = tuple(KINDS)
TEXTS: Final = tuple(KINDS.values())
D: Final = len(KINDS) + 1
"""Features of a task: a constant, then one per kind."""

TEMPERATURE: Final = 0.07
"""How much nearer, in cosine, one kind must be to count e times as much as another."""


def basis(vectors: NDArray[np.float32]) -> Floats:
    """Return what tasks are compared with: the vectors (len(TEXTS), dim) of `TEXTS`, by the model of the tasks."""
    if vectors.shape[:1] != (len(TEXTS),) or vectors.shape[1:] == ():
        raise ValueError(f"one vector per text is needed: {len(TEXTS)}, not an array of shape {vectors.shape}")
    return np.asarray(vectors, np.float64)


def project(kinds: Floats, vector: bytes) -> Floats:
    """Return the features x (D,) of a task: 1, then its shares in the kinds (>= 0), all divided by sqrt(2).

    `vector` is the task's float16 vector as it travels; without one (b"") it belongs to all kinds alike. The shares are
    the softmax of its cosines over `TEMPERATURE`, so x has norm 1 at most. Raises ValueError for another dimension.
    """
    if not vector:
        return features(np.zeros(len(kinds)))
    task = np.frombuffer(vector, "<f2").astype(np.float64)
    if task.shape != kinds.shape[1:]:
        raise ValueError(f"a vector of {task.size} dimensions, the kinds have {kinds.shape[1]}")
    return features(kinds @ task)


def features(cosines: Floats) -> Floats:
    """Return the features x (..., n + 1) of tasks with these cosines (..., n) to the kinds; see `project`."""
    near = np.exp((cosines - cosines.max(axis=-1, keepdims=True)) / TEMPERATURE)
    shares = near / near.sum(axis=-1, keepdims=True)
    constant = np.ones((*cosines.shape[:-1], 1))
    return np.asarray(np.concatenate((constant, shares), axis=-1) / np.sqrt(2.0))
