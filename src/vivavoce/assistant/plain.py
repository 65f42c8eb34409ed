"""From what a recogniser or a keyboard gives to plain words: no fillers, no punctuation, no contractions."""

from __future__ import annotations

import re
import unicodedata

CONTRACTIONS = {
    "what's": "what is", "whats": "what is", "where's": "where is", "wheres": "where is", "who's": "who is",
    "whos": "who is", "when's": "when is", "how's": "how is", "hows": "how is", "that's": "that is", "it's": "it is",
    "there's": "there is", "here's": "here is", "i'm": "i am", "im": "i am", "i've": "i have", "i'd": "i would",
    "i'll": "i will", "you're": "you are", "you've": "you have", "you'll": "you will", "we're": "we are",
    "they're": "they are", "he's": "he is", "she's": "she is", "let's": "let us", "lets": "let us",
    "name's": "name is", "don't": "do not", "dont": "do not", "doesn't": "does not", "didn't": "did not",
    "can't": "can not", "cannot": "can not", "cant": "can not", "won't": "will not", "isn't": "is not",
    "aren't": "are not", "wasn't": "was not", "haven't": "have not", "wanna": "want to", "gonna": "going to",
    "favourite": "favorite", "colour": "color", "um": "", "uh": "", "uhm": "", "erm": "", "er": "", "hmm": "",
    "mm": "mm", "u": "you", "ok": "okay", "pls": "please", "a.m": "am", "p.m": "pm", "o'clock": "o'clock",
    "oclock": "o'clock",
}  # fmt: skip


def listed(words: str) -> list[str]:
    """A list of words, written as one string: a table of three hundred names is easier to read so."""
    return words.split()


LONGEST = 400
"""Characters of one request that are looked at; spoken requests are far shorter."""
MOST_WORDS = 60
"""Words of it: matching takes time that grows with their square in the worst case."""

SYMBOLS = {
    "%": " percent ",
    "‰": " ",
    "°c": " degrees celsius ",
    "°f": " degrees fahrenheit ",
    "°": " degrees ",
    "&": " and ",
}
WORD = re.compile(r"-?\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['.][^\W\d_]+)*|\d+")

FILLERS = re.compile(
    r"(?:well|so|okay|oh|ah|hey|hi|hello|yo|yes|yeah|no|please|alright|right|then|and|but|actually|listen|sorry"
    r"|excuse me|good (?:morning|evening|afternoon)|kindly|now|just|quickly|like"
    r"|(?:viva ?voce|alexa|computer|jarvis|siri|assistant|google|cortana))(?= )",
    re.IGNORECASE,
)
POLITE = re.compile(
    r"(?:(?:could|can|would|will) you(?: please| just| kindly| maybe)?|would you mind|i (?:want|need|would like) you to"
    r"|i (?:want|would like|need) to know|do you (?:happen to )?know|can i ask(?: you)?|may i ask|please|tell me"
    r"|i (?:was )?wonder(?:ing|ed)?(?: if you (?:can|could))?|let us|go ahead and|try to|help me(?: to)?|i am asking"
    r"|(?:can|could|may) i have|(?:can|could) (?:we|i) (?:get|hear)|i (?:want|would like) (?:to )?(?:have|hear)"
    r"|i (?:want|need|would like))(?= )",
    re.IGNORECASE,
)
TAILS = re.compile(
    r"(?<= )(?:please|thanks|thank you|for me|right now|now|then|today|okay|will you|would you|can you|could you|buddy"
    r"|dear|if you (?:can|could|please|do not mind)|again|viva ?voce|alexa|computer|jarvis|siri|assistant)$",
    re.IGNORECASE,
)
WEIGHTY_TAILS = frozenset({"today", "again", "now", "thank you", "thanks"})
"""Tails that may carry the meaning; they go only with the polite lead-ins."""
SENTENCE_END = re.compile(r"(?<=[.!?;])(?<!\b(?:no|dr|mr|ms|st|vs)\.)\s+|\n+", re.IGNORECASE)


def clean(text: str) -> str:
    """Plain words with one space between them, in the case they came in; contractions and "um" resolved."""
    text = unicodedata.normalize("NFKC", text[: 4 * LONGEST]).replace("’", "'").replace("‘", "'").replace("−", "-")
    text = re.sub(
        r"\b([ap])\. ?m\b\.?|\b([ap]) m\b", lambda found: f"{found[1] or found[2]}m", text, flags=re.IGNORECASE
    )
    for symbol, words in SYMBOLS.items():
        text = re.sub(re.escape(symbol), words, text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W_])", " ", text)
    found = (CONTRACTIONS.get(word.lower(), word) for word in WORD.findall(text))
    return " ".join(" ".join(word for word in found if word).split(" ")[:MOST_WORDS])[:LONGEST].strip()


def readings(text: str) -> list[str]:
    """The ways to read a cleaned *text*, from literal to bare: without fillers, then with ever less politeness."""
    light = stripped(text, FILLERS, keep_weighty=True)
    found = [text, light]
    for _ in range(4):
        head = POLITE.match(found[-1])
        if head:
            found.append(stripped(found[-1][head.end() :].strip(), FILLERS, keep_weighty=True))
    found += [stripped(reading, FILLERS, keep_weighty=False) for reading in found[1:]]
    return list(dict.fromkeys(reading for reading in found if reading))


def stripped(text: str, head: re.Pattern[str], *, keep_weighty: bool) -> str:
    """*text* without leading words of *head* and without polite tails; never empty unless *text* is."""
    while True:
        if found := head.match(text):
            text = text[found.end() :].strip()
            continue
        tail = TAILS.search(text)
        if tail is None or (keep_weighty and tail[0].lower() in WEIGHTY_TAILS):
            return text
        text = text[: tail.start()].strip()


def clauses(text: str) -> list[str]:
    """The sentences of a typed text, as they are written; a spoken one has no stops and is a single one."""
    return [sentence for sentence in SENTENCE_END.split(text[: 4 * LONGEST]) if sentence.strip()]


def parts(text: str) -> list[str]:
    """A cleaned *text* cut at "and" and "then"; one element where there is nothing to cut."""
    return [part for part in re.split(r" (?:and then|and also|and|then|but) ", text) if part]
