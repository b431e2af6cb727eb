"""From a declared profile to its versioned capability vector ``(c, s, r, p, e, v)`` (arXiv 2509.20175, 3.1).

An agent calls `texts_of`, has the texts embedded (its own model or an index node's), then `build_vcv`. Index
nodes do the same for a stranger who published a card alone, and use `accept` on what others built.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from foa.core.vcv.blend import combine
from foa.core.vcv.bloom import bloom
from foa.core.vcv.profile import Profile, Spec
from foa.core.vcv.terms import spelled, terms_of
from foa.wire.ids import Digest, Version, digest_of
from foa.wire.messages import Vcv

Verdict = Literal["newer", "stale", "same", "conflict"]

SPEC: Final = "spec"
NAME: Final = "name"
VIEW_WEIGHTS: Final[dict[str, float]] = {"name": 0.25, "description": 0.3, "skills": 0.25, "examples": 0.2}
"""How much each view weighs in ``c`` (ours; name to description is measured, docs/decisions/0013); of absent views
nothing is made up."""

MAX_VIEW_TEXT: Final = 8_192
"""Characters of one text that are embedded; sentence models read far less."""

_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")


def texts_of(profile: Profile) -> dict[str, str]:
    """Return the texts to embed by name: the views that are not empty, and ``spec``.

    The name is a view of its own, written in words: before a description it would drown it or be drowned. A profile
    without a spec is specified by its name and description (ours), so that ``g`` never punishes brevity.
    """
    name = spelled(profile.name) or profile.name or profile.agent
    texts = {
        NAME: name,
        "description": profile.description,
        "skills": " ".join(f"{skill.name}: {skill.description}" for skill in profile.skills),
        "examples": " ".join(example for skill in profile.skills for example in skill.examples),
        SPEC: _spec_text(profile.spec) or f"{name}: {profile.description}",
    }
    return {name: text[:MAX_VIEW_TEXT] for name, text in texts.items() if text.strip()}


def _spec_text(spec: Spec) -> str:
    parts = (
        ("Goals", spec.goals),
        ("Tools", spec.tools),
        ("Resources", spec.resources),
        ("Rules", spec.rules),
        ("Do", spec.dos),
        ("Do not", spec.donts),
    )
    return " ".join(f"{title}: {'; '.join(lines)}." for title, lines in parts if lines)


def skill_ids(profile: Profile) -> tuple[str, ...]:
    """Return ids and tags of the profile's skills, sorted: what a query may require."""
    return tuple(sorted({word for skill in profile.skills for word in (skill.id, *skill.tags) if word}))


def build_vcv(
    profile: Profile, version: Version, model: str, vectors: Mapping[str, bytes], card_digest: Digest | Literal[""] = ""
) -> Vcv:
    """Return the capability vector of `profile`; `vectors` are float16, one for each name of `texts_of`.

    Raises KeyError if the vector of the name or the spec is missing.
    """
    views = {name: vectors[name] for name in VIEW_WEIGHTS if name in vectors or name == NAME}
    skills = skill_ids(profile)
    return Vcv(
        agent=profile.agent,
        version=version,
        model=model,
        c=combine((VIEW_WEIGHTS[name], body) for name, body in views.items()),
        e=vectors[SPEC],
        s=bloom(skills),
        r=profile.resources,
        holds=tuple(sorted(set(profile.holds))),
        requires=tuple(sorted(set(profile.requires))),
        skills=skills,
        views=views,
        inputs=profile.inputs,
        outputs=profile.outputs,
        effects=profile.effects,
        refines=profile.refines,
        card=card_digest,
        name=profile.name,
        terms=terms_of(profile),
    )


def fingerprint(vcv: Vcv) -> Digest:
    """Return the digest of the whole record, whatever order its maps were written in."""
    return digest_of(_encoder.encode(vcv))


def rank(old: tuple[Version, Digest], new: tuple[Version, Digest]) -> Verdict:
    """Judge `new` against `old`, each a version and a fingerprint: the version decides, then the digest."""
    if new[0] != old[0]:
        return "newer" if new[0] > old[0] else "stale"
    return "same" if new[1] == old[1] else "conflict"


def accept(old: Vcv | None, new: Vcv) -> Verdict:
    """Judge whether `new` replaces `old`: iff ``newer``. A ``conflict`` (same version, other content) is refused."""
    if old is None:
        return "newer"
    return rank((old.version, fingerprint(old)), (new.version, fingerprint(new)))
