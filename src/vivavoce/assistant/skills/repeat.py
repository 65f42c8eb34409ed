"""Saying something again, and going on after an interruption."""

from __future__ import annotations

from vivavoce.assistant.skill import Skill, Turn
from vivavoce.assistant.skills.tales import EVERY_FACT, squeezed
from vivavoce.assistant.topics import JOKES, STORIES

skill = Skill("repeat")

ECHO_LIMIT = 200


@skill.on(
    """
    repeat [that|it]; repeat that please; say that again; say it again; what did you say; can you repeat that;
    could you repeat that please; come again; pardon; pardon me; once more; one more time; again please;
    sorry what did you say; i did not hear you; i didn't hear that; i did not understand
    """,
    also="""
    say again; what was that; repeat [what you said|yourself|the last (thing|answer)|please]; sorry what; excuse me;
    what; say that (once more|one more time|slowly); i did not (catch|get|understand) (that|you|it); what you said;
    i could not hear (you|that); again; huh; sorry; tell me [that] again
    """,
)
def repeat(turn: Turn) -> str:
    """The last answer again; the answer to a request to repeat is that answer too, so it can be asked for twice."""
    for said in reversed(turn.history):
        if said.by == "assistant" and said.text.strip():
            return said.text.strip()
    return "I haven't said anything yet."


@skill.on(
    "(repeat|say) after me {text}; (please|can you) say {text}",
    also="say {text}; repeat {text}",
)
def echo(text: str) -> str | None:
    if len(text) > ECHO_LIMIT or text.lower() in ("something", "anything", "nothing", "that", "it"):
        return None
    return f"{text[:1].upper()}{text[1:]}{'' if text[-1] in '.!?' else '.'}"


@skill.on(
    """
    continue; go on; keep going; please continue; carry on; continue the story; go on with the story;
    finish the story; what happened next; and then; tell me the rest; continue please
    """,
    also="""
    (continue|go on|keep going|carry on) [with] [that|it|reading|talking|telling|the story|from there]; go ahead;
    [and] then what [happened]; what happens next; what is next; resume; where were we; keep talking;
    (finish|resume) (it|that|what you were saying|your sentence)
    """,
)
def go_on(turn: Turn) -> str:
    """The part of an interrupted text that was not heard."""
    answers = [said for said in turn.history if said.by == "assistant"]
    for said in reversed(answers[-4:]):
        found = place(said.text)
        if found and said.interrupted:
            text, end = found
            rest = text[end:].lstrip(" ,.;:!?")
            return f"{rest[:1].upper()}{rest[1:]}" if rest else "That was the end of it."
        if found or said.interrupted:
            break  # told to its end, or not one of the texts that can be gone on with
    return "There is nothing for me to continue."


def place(heard: str) -> tuple[str, int] | None:
    """The story, fact or joke that holds *heard*, and where in it that ends.

    It need not be the beginning: an interrupted continuation begins anywhere, with a capital the text lacks there.
    """
    words = squeezed(heard).lower()
    for text in (*STORIES, *EVERY_FACT, *JOKES) if words else ():
        at = text.lower().find(words)
        if at == 0 or (at > 0 and len(words) >= 8):
            return text, at + len(words)
    return None
