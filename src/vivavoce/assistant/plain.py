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

LONGEST = 400
"""Characters of one request that are looked at; spoken requests are far shorter."""

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
WEIGHTY_TAILS = frozenset({"today", "again", "thank you", "thanks"})
"""Tails that may carry the meaning; they go only with the polite lead-ins."""


def clean(text: str) -> str:
    """Plain words with one space between them, in the case they came in; contractions and "um" resolved."""
    text = unicodedata.normalize("NFKC", text[: 4 * LONGEST]).replace("’", "'").replace("‘", "'").replace("−", "-")
    text = re.sub(r"\b([ap])\. ?m\b\.?|\b([ap]) m\b", lambda found: f"{found[1] or found[2]}m", text, flags=re.I)
    for symbol, words in SYMBOLS.items():
        text = re.sub(re.escape(symbol), words, text, flags=re.I)
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W_])", " ", text)
    words = (CONTRACTIONS.get(word.lower(), word) for word in WORD.findall(text))
    return " ".join(word for word in words if word)[:LONGEST].strip()


def readings(text: str) -> list[str]:
    """The ways to read a cleaned *text*, from literal to bare: without fillers, then without politeness too."""
    light = strip(text, (FILLERS,), keep_weighty=True)
    deep = strip(light, (FILLERS, POLITE), keep_weighty=False)
    return list(dict.fromkeys(reading for reading in (text, light, deep) if reading))


def strip(text: str, heads: tuple[re.Pattern[str], ...], *, keep_weighty: bool) -> str:
    """*text* without leading words of *heads* and without polite tails; never empty unless *text* is."""
    changed = True
    while changed:
        changed = False
        for head in heads:
            if found := head.match(text):
                text, changed = text[found.end() :].strip(), True
        found = TAILS.search(text)
        if found and not (keep_weighty and found[0].lower() in WEIGHTY_TAILS):
            text, changed = text[: found.start()].strip(), True
    return text


def clauses(text: str) -> list[str]:
    """The sentences of a typed or spoken text, and the parts of "… and …" and "… then …" that could stand alone."""
    sentences = re.split(r"(?<=[.!?;])\s+|\n+", text[: 4 * LONGEST])
    return [sentence for sentence in sentences if sentence.strip()]


def parts(text: str) -> list[str]:
    """A cleaned *text* cut at "and" and "then"; one element where there is nothing to cut."""
    return [part for part in re.split(r" (?:and then|and also|and|then|but) ", text) if part]
