"""What the user said about themselves, found again in the conversation; nothing is stored besides it."""

from __future__ import annotations

from vivavoce.assistant import recall
from vivavoce.assistant.person import to_listener
from vivavoce.assistant.skill import Skill, Turn

skill = Skill("memory")

LONGEST_THING = 4
"""Words; a longer one was not meant as a question about something remembered."""


@skill.on(
    """
    my name is {name}; call me {name}; (i am|i'm) called {name}; you can call me {name};
    (i am|i'm) {common_name:name}; no my name is {name}; remember that my name is {name}
    """,
    also="""
    my name {common_name:name}; the name is {name}; my name (actually|really) is {name}; i go by {name};
    please call me {name}; it is {common_name:name} not {rest};
    (remember|remember that|note that) i am {common_name:name}; this is {common_name:name}; my first name is {name};
    i am not {rest} (i am|my name is) {name}; my name is not {rest} it is {name}
    """,
)
def introduced(turn: Turn, name: str) -> str:
    before = recall.recall(turn.history).name
    if before == name:
        return f"Yes, you are {name}. I remember."
    return f"Okay, I'll call you {name}." if before else f"Nice to meet you, {name}."


@skill.on(
    """
    what is my name; what's my name; who am i; do you know my name; do you remember my name; say my name;
    do you know who i am; tell me my name; what am i called; do you remember me
    """,
    also="""
    my name; what was my name; (remember|know) my name; what did i say my name was; what is my name again;
    can you remember my name; what do you call me; what my name is; who i am; you remember my name; remember me;
    and my name
    """,
)
def tell_name(turn: Turn) -> str:
    name = recall.recall(turn.history).name
    return f"Your name is {name}." if name else "You haven't told me your name yet."


@skill.on(
    "spell my name; how do you spell my name",
)
def spell_name(turn: Turn) -> str:
    name = recall.recall(turn.history).name
    return f"{', '.join(name.upper().replace(' ', ''))}." if name else "You haven't told me your name yet."


@skill.on(
    "forget my name; do not remember my name; i do not want you to (know|remember) my name",
)
def forget_name(turn: Turn) -> str:
    return "Okay, I have forgotten your name." if recall.recall(turn.history).name else "I don't know your name anyway."


@skill.on(
    "forget everything; forget (what i said|what i told you|about me|all about me|everything i said|it all)",
    also="""
    forget everything (you know|i told you|about me|that i told you) [about me]; (clear|delete|erase) your memory
    """,
)
def forget_all() -> str:
    return "Okay, everything you told me is forgotten."


@skill.on(
    "forget that",
    also="forget (it|about it|about that|this); do not remember that",
)
def forget_last(turn: Turn) -> str:
    facts = recall.recall(turn.history).facts
    return f"Okay, I have forgotten that {facts[-1].text}." if facts else "Okay."


@skill.on(
    "forget (about my|my|the) {thing}; forget where my {thing} is",
    also="forget (what|when|who|where) my {thing} (is|are)",
)
def forget_thing(turn: Turn, thing: str) -> str:
    facts = recall.about(recall.recall(turn.history), thing)
    return f"Okay, I have forgotten that {facts[-1].text}." if facts else f"I know nothing about your {thing}."


@skill.on(
    """
    what (did i tell|have i told|did i say to) you; what do you (know|remember) about me; what do you remember;
    what did i (ask|tell) you to remember; what do you know
    """,
    also="""
    what (should i|do i have to|am i supposed to) (remember|do); what i told you; what did i (say|tell);
    do you remember what i (said|told you); tell me (about me|what you know); what did i say [earlier|before];
    what have you (remembered|learned about me); what do you know about me so far
    """,
)
def tell_all(turn: Turn) -> str:
    memory = recall.recall(turn.history)
    known = ([f"your name is {memory.name}"] if memory.name else []) + [fact.text for fact in memory.facts[-3:]]
    if not known:
        return "You haven't told me anything yet. Say, for example, remember that my car is on level three."
    return f"You told me that {', and that '.join(shortened(text) for text in known)}."


@skill.on(
    """
    what did i (tell|say to) you about [my] {thing}; what did i say about [my] {thing};
    what do you (know|remember) about my {thing}
    """,
    also="""
    what do you remember about [the] {thing}; (remind me about|tell me about) my {thing};
    do you (remember|know) my {thing}
    """,
)
def tell_about(turn: Turn, thing: str) -> str:
    facts = recall.about(recall.recall(turn.history), thing)
    return said_before(facts[-1]) if facts else f"You haven't told me anything about {to_listener(thing)}."


@skill.on(
    """
    (where is|where's|where are) my {thing}; where did i (put|leave|park) my {thing};
    (what is|what's|what are) my {thing}; (who is|who's) my {thing}; when is my {thing}; which is my {thing};
    what (color|kind|floor|level|day) is my {thing}
    """,
    also="""
    where i (put|left|parked) (my|the) {thing}; where did i (put|leave|park) the {thing};
    (where|what|when|who|how old|how big|how|which) (is|are|was|were) my {thing}; where (my|the) {thing} is
    """,
)
def tell_thing(turn: Turn, thing: str) -> str | None:
    """Also what the assistant could never know: "You haven't told me" is then the truth."""
    memory = recall.recall(turn.history)
    facts = recall.about(memory, thing)
    if not facts and " park " in turn.reading:
        facts = recall.matching(memory, "parked")
    if not facts and len(thing.split()) > LONGEST_THING:
        return None
    return said_before(facts[-1]) if facts else f"You haven't told me about your {thing} yet."


@skill.on(
    """
    where did i park; where am i parked; where do i live; how old am i; where am i from; where do i work;
    what do i like; what do i (love|hate|prefer); what am i allergic to
    """,
    also="""
    where i (live|parked|work|am from); what did i (buy|like|eat|need|want); when (did|do|am|will) i {thing};
    how old i am; when i was born; when was i born; where was i born
    """,
)
def tell_self(turn: Turn) -> str:
    facts = recall.matching(recall.recall(turn.history), turn.reading)
    return said_before(facts[-1]) if facts else "You haven't told me that yet."


@skill.on(
    """
    remember that my {thing} is {place:value}; remember that my {thing} is {value}; my {thing} is {value};
    (i live in|i am from|i'm from) {town:value}; i (like|love) {value}; remember [that] {note:value};
    (please|can you) remember that {note:value}; do not forget that {note:value}
    """,
    also="""
    i am {number:value} years old;
    (note|keep in mind|take a note|make a note|bear in mind|know) [that] {note:value}; do not forget {note:value};
    my {thing} (are|was|were|has|have|lives|works|likes|comes|starts|begins|arrives|leaves) {value};
    (the|our) {thing} (is|are) {value};
    i (parked|left|put|live|work|hate|prefer|am from|am allergic|was born) {value}
    """,
)
def remember(turn: Turn) -> str | None:
    """What counts as a fact is decided in one place, which also finds it again later."""
    fact = recall.stated(turn.reading)
    return f"Okay, I'll remember that {shortened(fact.text)}." if fact else None


@skill.on(also="(what|where|when|who|how|which) (is|are) the {thing}")
def tell_the(turn: Turn, thing: str) -> str | None:
    """Only what was told: "the" asks about the world as well."""
    facts = [fact for fact in recall.recall(turn.history).facts if fact.subject == thing.lower()]
    return said_before(facts[-1]) if facts else None


@skill.on(also="what (is|was|are) the {label:part} of my {thing}")
def tell_part(turn: Turn, part: str, thing: str) -> str:
    return tell_thing(turn, f"{thing}'s {part}") or tell_about(turn, thing)


@skill.on(
    "remember this; remember something; can you remember something; remember that",
)
def what_to_remember() -> str:
    return "Sure. Say, for example, remember that my car is on level three."


def said_before(fact: recall.Fact) -> str:
    text = shortened(fact.text)
    return f"{text[:1].upper()}{text[1:]}."


def shortened(text: str) -> str:
    return text if len(text) <= 150 else f"{text[:147].rsplit(' ', 1)[0]}…"
