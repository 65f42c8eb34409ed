"""What of a marked-up text is words: without Markdown, HTML, emoji, addresses' paths and blocks of code.

The words keep their places: one entry for each word that is shown (as `str.split` has them), empty where nothing of it
is said. White space inside an entry is `GLUE`, so that lines of entries can be joined and split by plain blanks. Pure.
"""

from __future__ import annotations

import html
import re

GLUE = "\xa0"
"""A blank inside of what is said for one word."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_FENCE = re.compile(r"(?:> ?)*(?:[-*+] +|\d{1,9}[.)] +)?(`{3,}|~{3,})[^`~]*")
_BULLETS = frozenset("-*+•–>◦▪‣") | {"#" * level for level in range(1, 7)}
_QUOTE = re.compile(r"^>+(?=[^>=])")
_DEFINITION = re.compile(r"\[\^[^\]\s]{1,40}\]:")

_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x9f\xad"  # control characters; soft hyphen
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # direction marks, other zero widths
    "\ud800-\udfff\ufff9-\uffff]"  # halves of surrogate pairs, which have no encoding; non-characters
)
_EMOJI = re.compile(
    "[\u203c\u2049\u20e3\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\ufe0e\ufe0f©®™\U0001f000-\U0001faff\U000e0020-\U000e007f]\u200d*"
)
_MARKED = re.compile(r"[^\w .,!?'’\"“”();:-]|_|[:;]\S|-[-_]|[wW]{3}\.")
"""What may be more than words and punctuation: most lines have none of it."""
_EMOTICON = re.compile(
    r"(?<!\S)(?:[:;=]['’]?[-^o]?(?:[)(\]\[DPpOo/\\|*3<>]|\){2,9}|\({2,9})|[xX]D+|</?3|\^[_.-]?\^|-_+-|T_+T|>[_.]<"
    r"|[oO]_+[oO]|¯\\_\(ツ\)_/¯|\S{0,9}[‿□◕ಠʘ╯╰┻┬━︵益ᗜ﹏ᴗ◡▽ᴥ￣]\S{0,12})(?=[.,!?]*(?!\S))"
)
# The bounds keep a hostile text from being searched once for each of its characters.
_TARGET = r"\([^() ]{0,500}(?:\([^() ]{0,200}\)[^() ]{0,200})?(?: [\"'][^\"']{0,200}[\"'])?\)"
_LINK = re.compile(rf"(?<![\w\]])!?\[([^\[\]]{{0,200}})\](?:{_TARGET}|\[[^\[\]]{{0,100}}\])")
_LINK_END = re.compile(rf"\](?=\([^() ]{{0,100}}[/.#:@]){_TARGET}")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,40}\]")
_TAG = re.compile(
    r"</?(?:a|abbr|article|audio|b|big|blockquote|body|br|break|button|center|cite|code|dd|del|details|div|dl|dt|em"
    r"|emphasis|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark"
    r"|meta|nav|ol|option|p|phoneme|pre|prosody|q|s|samp|say-as|script|section|select|small|source|span|speak|strike"
    r"|strong|style|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|u|ul|var|video|voice|wbr)"
    r"(?:[ /][^<>]{0,500})?>|<!--[^<>]{0,500}-->",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_ADDRESS = re.compile(
    r"(?:mailto:|[hH][tT]{2}[pP][sS]?://(?:[^\s/@<>\"]{1,64}@)?(?:www\.)?|ftp://|[wW]{3}\.)(\w[^\s/?#:<>()\"]*)[^\s<>\"]*",
)
_PATH = re.compile(
    r"(?<![\w@./-])((?:[\w-]{1,63}\.){1,5}(?:com|org|net|io|dev|edu|gov|ai|app|co|de|fr|es|it|nl|pl|pt|br|uk|eu|info))"
    r"/[^\s<>\"]*"
)
_CELL_END = re.compile(r"(?<=[^\s|:-]) \| (?=[^\s|:-])")
_PRODUCT = re.compile(r"(?<=\d)\*(?=\d)|(?<=\d )\*(?= \d)")
_GAP = re.compile(r"\||(?<=[\w:])\\(?=\w)|(?<=[^\W_])_+(?=[^\W_])(?![^\s@]{0,64}@\w)")
_MARKS = re.compile(r"[*`\[\]{}\\]|~~+|~(?!\d)|(?<![^\W_])_+|_+(?![^\W_])|!(?=\[)|(?<!\w)#+(?!\d)")
_DASHES = re.compile(r"(?<=\w )-{2,3}(?= \w)")
_RULE = re.compile(rf"[\-:_{GLUE}]{{2,}}|[=+\-:{GLUE}]{{3,}}")
_REPEATED = re.compile(r"([!?])\1+|(?<=\.\.\.)\.+")
_CLOSING = ".,;:!?)]'’*_"


class Markup:
    """Reads one text, which may come in parts: what one of them leaves open goes on in the next.

    code: what is said in place of a block of code, when it begins.
    """

    def __init__(self, code: str = "") -> None:
        self._code = code
        self._line_begins = True
        self._fence = ""  # what closes the block of code we are in
        self._opening = False  # in the line that opened it

    def words(self, text: str) -> list[str]:
        """What is to be said for each word of *text*. Parts must not be cut inside a word."""
        said: list[str] = []
        for number, line in enumerate(_LINE_END.split(text)):
            if number:
                self._line_begins, self._opening = True, False
            if words := line.split():
                said += self._line(words)
                self._line_begins = False
        return said

    def _line(self, words: list[str]) -> list[str]:
        if self._fence:
            return self._in_code(words)
        if self._line_begins:
            if (fence := _FENCE.fullmatch(" ".join(words))) is not None:
                self._fence, self._opening = fence[1], True
                return [self._code, *[""] * (len(words) - 1)]
            words = _without_marker(words)
        line = _inline(" ".join(words)).split(" ")
        return ["" if _RULE.fullmatch(word) else word.strip(GLUE) for word in line]

    def _in_code(self, words: list[str]) -> list[str]:
        """Nothing is said until the block is over; what opened in this very line may close in it as well."""
        if self._line_begins:
            line = "".join(words).lstrip(">")
            if line.startswith(self._fence) and not line.strip(self._fence[0]):
                self._fence = ""
        elif self._opening:
            for at, word in enumerate(words, 1):
                if self._fence in word:
                    self._fence = ""
                    return [""] * at + (self._line(words[at:]) if words[at:] else [])
        return [""] * len(words)


def spaced(match: re.Match[str], said: str) -> str:
    """*said* in place of *match*, with as many blanks between words: more become `GLUE`, missing ones are added."""
    blanks, parts = match[0].count(" "), said.split(" ")
    kept = [*parts[:blanks], GLUE.join(parts[blanks:])]
    return " ".join(kept) + " " * (blanks + 1 - len(kept))


def _without_marker(words: list[str]) -> list[str]:
    """A line's words without the bullets, quote marks, boxes and number signs at its beginning."""
    said, at = list(words), 0
    while at < len(said) and (said[at] in _BULLETS or not said[at].strip(">")):
        said[at] = ""
        at += 1
    if said[at : at + 2] == ["[", "]"]:
        said[at] = said[at + 1] = ""
    elif at < len(said) and (said[at] in ("[x]", "[X]") or _DEFINITION.fullmatch(said[at])):
        said[at] = ""
    elif at < len(said):
        said[at] = _QUOTE.sub("", said[at], count=1)
    return said


def _inline(line: str) -> str:
    """*line* without marks, with as many blanks as before."""
    line = _REPEATED.sub(r"\1", _UNSEEN.sub("", line))
    if not _MARKED.search(line):
        return line
    line = _EMOTICON.sub("", line)
    if "]" in line:
        line = _FOOTNOTE.sub("", line)
        line = _LINK.sub(lambda link: spaced(link, link[1]), line)
        line = _LINK_END.sub(lambda link: spaced(link, ""), line)
    if ">" in line:
        line = _TAG.sub(lambda tag: spaced(tag, GLUE), line)
    if "&" in line:
        line = _ENTITY.sub(_unescaped, line)
    if "://" in line or "mailto:" in line or "www." in line.lower():
        line = _ADDRESS.sub(_host, line)
    if "/" in line:
        line = _PATH.sub(_host, line)
    if "|" in line:
        line = _CELL_END.sub(",  ", line)
    line = _PRODUCT.sub("×", _EMOJI.sub(GLUE, line))
    line = _MARKS.sub("", _GAP.sub(GLUE, line))
    return _DASHES.sub("–", line)


def _unescaped(entity: re.Match[str]) -> str:
    said = html.unescape(entity[0])
    return _UNSEEN.sub("", "".join(GLUE if char.isspace() else char for char in said))


def _host(address: re.Match[str]) -> str:
    """The host alone, and the punctuation of the sentence."""
    whole = address[0]
    return address[1].rstrip(_CLOSING) + whole[len(whole.rstrip(_CLOSING)) :]
