"""Numbers, units, money, dates, times, signs and abbreviations as they are said in a language.

A text comes and goes as words with one blank between them; inside of what is said for a word, blanks are `GLUE`. Every
rule leaves as many blanks as it found, so each word keeps what is said for it. What a synthesizer says rightly by
itself (whole numbers, decimals, ordinals) is left to it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from operator import itemgetter

from vivavoce.text.languages.base import Forms, Language
from vivavoce.text.markup import GLUE, spaced

Rule = Callable[[re.Match[str]], str]
"""What is said in place of a match: the match itself where the rule does not apply."""

# A pattern that begins with a character is searched for many times faster than one that begins with a look behind: so
# what may not stand before a match is looked at behind its first character, or by the rule.
_ALONE = r"\d(?<![\w.,/:-]\d)"
_APART = r"\d(?<![\w.,/:]\d)"
_NUMBER = r"\d++(?:[.,]\d++)*+"
_AMOUNT = r"\d*+(?:[.,]\d++)*+(?: \d{3}(?!\d))*+(?:,\d++)?+"  # behind its first digit
_UP_TO = "(?:[–-]| [–-] )"
_MILLIONS = r"(?:mil|mrd|md|bil|tri|thous|tous|taus|tys)[^\W\d_]{0,9}"
_VULGAR = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8"}
_SPECIAL = re.compile(r"[\d&@#+=<>/~≤≥≠≈±×÷−½¼¾⅓⅔⅛⅜⅝⅞]")
_GROUPING = re.compile(r"[ .,](?=\d{3}(?!\d))")
_HUNDREDTHS = re.compile(r"(.*\d)[.,](\d\d)")
_US_NUMBER = re.compile(r"(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}|\d{3}-\d{4}")
_NEVER_GLUED = frozenset({"s", "t", "bar"})
"""Units that are something else right behind a number: the 90s."""


def any_of(texts: Iterable[str]) -> str:
    """A pattern for one of *texts*, the longest first; by first characters, so that few are tried at each place."""
    ordered = sorted(set(texts), key=lambda text: (text[0], -len(text), text))
    groups = [
        (first, "|".join(re.escape(text[1:]) for text in group)) for first, group in groupby(ordered, itemgetter(0))
    ]
    return "|".join(f"{re.escape(first)}(?:{rests})" for first, rests in groups)


class Expressions:
    """The rules of one language. american: the month comes before the day."""

    def __init__(self, language: Language, *, american: bool) -> None:
        self._language = language
        self._american = american
        abbreviations = {**{_capital(short): _capital(full) for short, full in language.abbreviations.items()}}
        self._abbreviations = {**abbreviations, **language.abbreviations}
        self._short = re.compile(rf"(?:{any_of(self._abbreviations)})(?!\w)")
        self._own = [(re.compile(pattern), partial(self._of_language, rule)) for pattern, rule in language.rules]
        self._rules = [
            (frozenset(needs), re.compile(pattern), rule)
            for needs, pattern, rule in (*self._dates(), *self._amounts(), *self._numbers(), *self._signs())
        ]

    def said(self, text: str) -> str:
        """*text*, with everything in words that a synthesizer would not say as it is meant."""
        if _SPECIAL.search(text):
            present = set(text)
            for needs, pattern, rule in self._rules:
                if not needs or not needs.isdisjoint(present):
                    text = pattern.sub(lambda match, rule=rule: spaced(match, rule(match)), text)  # type: ignore[misc]
        for pattern, rule in self._own:
            text = pattern.sub(rule, text)
        return self._short.sub(self._abbreviation, text)

    # --- which rules there are: the signs of which one must be present, pattern, rule ---------------------------------

    def _dates(self) -> list[tuple[str, str, Rule]]:
        language = self._language
        hour, clock = language.hour_sign, f"(?: ?(?:{language.clock})(?!\\w))?" if language.clock else ""
        seconds, half = r"(?::(?P<s>[0-5]\d)(?:\.\d+)?)?", rf"(?P<half>(?=[ {GLUE}][ap]\.m\.))?"
        return [
            ("-", rf"(?P<y>{_ALONE}\d{{3}})-(?P<mo>\d\d)-(?P<d>\d\d)(?P<t>T(?=\d\d:)|(?![\w-]))", self._date),
            (".", rf"(?P<d>{_ALONE}\d?)\.(?P<mo>\d\d?)\.(?P<y>\d{{4}})(?P<t>)(?!\w|\.\d)", self._date),
            ("/-", rf"(?P<a>{_ALONE}\d?)(?P<by>[/-])(?P<b>\d\d?)(?P=by)(?P<y>\d{{4}})(?![\w/-])", self._slashed_date),
            (".", rf"{_ALONE}\d*+(?:\.\d++){{2,6}}+(?![\w:/]|[.,]\d)", self._version),
            ("vV", r"[vV](?<![\w.,/:-].)\d++(?:\.\d++){0,6}+(?![\w:/]|[.,]\d)", self._version),
            ("", r"[\d(+](?<![\w.,:/+-].)\+?\d{0,5}\)?(?:[ ./-]\(?\d{2,8}\)?){1,6}(?![\w/-])", self._phone),
            ("mM", r"(?P<n>\d)(?P<gap> ?)(?P<half>[aApP])\.?[mM](?:\.|(?!\w))", self._half_day),
            ("-–", rf"(?P<n>\d[{hour}]\d\d|[ap]\.m\.)(?P<to> ?[-–] ?)(?=\d)", self._until),
            (hour, rf"(?P<h>{_ALONE}\d?)[{hour}](?P<m>[0-5]\d){seconds}Z?(?![\w:]){clock}{half}", self._time),
        ]  # fmt: skip

    def _amounts(self) -> list[tuple[str, str, Rule]]:
        language = self._language
        units, signs = any_of(language.units), any_of(language.currencies)
        per = rf"(?:/(?P<per>{units}|[^\W\d_]{{3,20}})(?![\w/]))?"
        scale = rf"(?: ?(?P<scale>{any_of(language.scales)})(?![^\W_])| (?P<word>{_MILLIONS})(?!\w)(?: d[ei](?= ))?)?"
        up_to = rf"(?:{_UP_TO}(?:{signs})?(?P<m>{_NUMBER}))?"
        several = rf"(?P<n>{_APART}{_AMOUNT})(?:(?: ?(?P<first>{units}))?{_UP_TO}(?P<m>{_NUMBER}))?"
        marks = "".join({sign[-1] for sign in language.currencies})
        return [
            (marks, rf"(?P<sign>{signs})(?P<n>\d{_AMOUNT}){up_to}{scale}{per}(?!\w)", self._money),
            (marks, rf"(?P<n>{_APART}{_AMOUNT}){up_to}{scale} ?(?P<sign>{signs}){per}(?!\w)", self._money),
            (marks, rf"(?P<sign>{signs}) (?P<n>\d{_AMOUNT}){up_to}{scale}{per}(?!\w)", self._money),
            ("", rf"{several}(?P<gap>[ -]?)(?P<unit>{units}){per}(?![\w°²³'’/]|-\w)", self._unit),
            ("'’′", rf"(?P<n>{_ALONE}\d{{0,2}})['’′] ?(?P<m>\d{{1,2}})(?:[\"”″]|'')", self._feet),
        ]  # fmt: skip

    def _numbers(self) -> list[tuple[str, str, Rule]]:
        minus, number, times = self._named("-"), self._named("#"), self._named("×")
        return [
            ("/", rf"(?P<n>{_ALONE}\d{{0,3}})(?: (?P<m>\d{{1,2}}))?/(?P<d>\d{{1,4}})(?![\w/])", self._fraction),
            ("".join(_VULGAR), rf"(?P<sign>[{''.join(_VULGAR)}])", self._vulgar),
            ("–-", rf"(?P<n>{_ALONE}\d*+(?:[.,]\d++)*+)(?P<sign> ?– ?|-)(?P<m>{_NUMBER})(?![\w/:-])", self._range),
            (":", r"(?P<n>\d(?<![\w:]\d)\d{0,3}):(?P<m>\d{1,4})(?![\w:])", lambda m: self._between(m["n"], m["m"])),
            ("x×", r"(?P<n>\d)(?P<a> ?)(?P<sign>[x×])(?P<b> ?)(?=\d)", self._by),
            ("x", r"(?P<n>\d)x(?!\w)", lambda match: f"{match['n']}{GLUE}{times}"),
            ("-−", r"[-−](?<![^\s(\"'“].)(?=[.,]?\d)", lambda _: f"{minus}{GLUE}"),
            ("=", r"-(?<=\d -)(?= \d)", lambda _: minus),
            ("#", r"#(?=\d)", lambda _: f"{number}{GLUE}"),
        ]  # fmt: skip

    def _signs(self) -> list[tuple[str, str, Rule]]:
        return [
            ("@", r"(?<![\w.+-])(?P<name>[\w.+-]{1,64}+)@(?P<host>[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})", self._mail),
            ("/", r"w/o?(?<!\Sw/)(?<!\Sw/o)(?=\s)", lambda match: self._language.signs.get(match[0], match[0])),
            ("/", r"/(?<=[^\W\d_]/)(?=[^\W\d_]{1,40}+(?![/\w]|\.\w))", self._slash),
            ("#", r"(?<=\b[A-G])#(?!\w)", lambda _: f"{GLUE}{self._language.signs.get('sharp', '#')}"),
            ("@", r"@(?=\w)", self._operator),
            ("<>-=", r"[-=]>|<-+(?!\d)", lambda _: GLUE),
            ("=", r"[!<>]=", lambda match: self._word({"!=": "≠", "<=": "≤", ">=": "≥"}[match[0]])),
            ("=", r"={1,2}", lambda _: self._word("=")),
            ("+", r"(?<=\d)\+(?!\+)|(?<!\S)\+(?=\s|\d)", self._operator),
            ("~≈±", r"[~≈±](?= ?[\d-])", self._operator),
            ("<>", r"(?<=[\w)]\s)[<>](?=\s[\w(−-])|(?<=\d)[<>](?=\d)|[<>](?=\s?\d)", self._operator),
            ("<>", r"[<>]", lambda _: GLUE),
            ("&≤≥≠≈±×÷", r"[&≤≥≠≈±×÷]", self._operator),
        ]

    # --- dates and times ----------------------------------------------------------------------------------------------

    def _date(self, match: re.Match[str]) -> str:
        said = self._day(int(match["d"]), int(match["mo"]), int(match["y"]))
        return match[0] if said is None else said + ("," + GLUE if match["t"] else "")

    def _slashed_date(self, match: re.Match[str]) -> str:
        """The month comes first in the United States, and wherever the second number can only be a day."""
        first, second, year = int(match["a"]), int(match["b"]), int(match["y"])
        if second > 12 or (first <= 12 and self._american):
            first, second = second, first
        return self._day(first, second, year) or match[0]

    def _day(self, day: int, month: int, year: int) -> str | None:
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return self._language.date(day, self._language.months[month - 1], year, self._american)

    def _half_day(self, match: re.Match[str]) -> str:
        if not self._language.half_days:
            return match[0]
        return f"{match['n']}{match['gap'] or GLUE}{match['half'].lower()}.m."

    def _until(self, match: re.Match[str]) -> str:
        blank = " " if match["to"] in (" - ", " – ") else GLUE
        return f"{match['n']}{blank}{self._language.to}{blank}"

    def _time(self, match: re.Match[str]) -> str:
        language, hour, minute = self._language, int(match["h"]), int(match["m"])
        if hour > 24:
            return match[0]
        if match["s"] is not None:
            counts = ((hour, "h"), (minute, "min"), (int(match["s"]), "s"))
            return GLUE.join(f"{count}{GLUE}{self._form(language.units[unit], str(count))}" for count, unit in counts)
        if minute == 0:
            form = "{h}" if match["half"] is not None else language.full_hour
        else:
            form = language.small_minutes if minute < 10 and language.small_minutes else language.time
        said = form.format(h=hour, m=minute)
        return said.replace(" ", GLUE)

    def _version(self, match: re.Match[str]) -> str:
        """`v2`, `2.0.1`, an address of four numbers; a telephone's number has longer parts."""
        numbers = match[0].lstrip("vV").split(".")
        if match[0][0].isdigit() and max(map(len, numbers)) > 3:
            return match[0]
        version = self._named("v") + GLUE if match[0][0] in "vV" else ""
        return version + f"{GLUE}{self._named('.')}{GLUE}".join(numbers)

    def _phone(self, match: re.Match[str]) -> str:
        """Digit by digit, with a short pause behind each group."""
        whole = match[0]
        count = sum(map(str.isdigit, whole))
        abroad = whole.startswith(("+", "(+")) and 8 <= count <= 15
        home = whole.lstrip("(").startswith("0") and 9 <= count <= 13
        if not (abroad or home or _US_NUMBER.fullmatch(whole)):
            return whole
        said = f"{self._named('+')}{GLUE}" if abroad else ""
        for digits, between in re.findall(r"(\d+)(\D*)", whole):
            said += GLUE.join(digits) + ("," if between.strip(")") else "") + (" " if " " in between else GLUE)
        return said.removesuffix(GLUE)

    # --- amounts ------------------------------------------------------------------------------------------------------

    def _form(self, forms: Forms, number: str) -> str:
        return forms[min(self._language.plural(_GROUPING.sub("", number)), len(forms) - 1)]

    def _per(self, match: re.Match[str]) -> str:
        per, language = match["per"], self._language
        if not per:
            return ""
        return " " + (language.per.get(per) or f"{language.per['']} {language.units.get(per, (per,))[0]}")

    def _money(self, match: re.Match[str]) -> str:
        if _follows(match, ".,/:"):
            return match[0]
        language, number, other = self._language, match["n"], match["m"]
        forms = language.currencies[match["sign"]]
        parts = forms.index("") if "" in forms else len(forms)
        units, cents = forms[:parts], forms[parts + 1 :]
        amount = f"{number} {language.to} {other}" if other else number
        if scale := match["scale"] or match["word"]:
            big = language.scales.get(scale, ("", ""))
            said = self._form(big, other or number) if match["scale"] else scale
            unit = self._form(units, "5")
            return f"{amount} {said} {language.of(unit) if len(big) > 1 else unit}{self._per(match)}"
        split = None if other or not cents else _HUNDREDTHS.fullmatch(number)
        if split is None or int(split[2]) == 0:
            amount = split[1] if split else amount
            return f"{amount} {self._form(units, other or amount)}{self._per(match)}"
        count = str(int(split[2]))
        cent = self._form(cents, count)
        if not split[1].strip("0"):
            return f"{count} {cent}{self._per(match)}"
        unit = self._form(units, split[1])
        return language.money.format(whole=split[1], unit=unit, cents=count, cent=cent) + self._per(match)

    def _unit(self, match: re.Match[str]) -> str:
        number, other, gap, unit = match["n"], match["m"], match["gap"], match["unit"]
        if match["first"] not in (None, unit):
            return match[0]
        if (not gap and unit in _NEVER_GLUED) or (gap == "-" and len(unit) == 1):
            return match[0]
        forms = self._language.units[unit]
        name = forms[0] if gap == "-" else self._form(forms, other or number)
        amount = f"{number} {self._language.to} {other}" if other else number
        return f"{amount} {name}{self._per(match)}"

    def _feet(self, match: re.Match[str]) -> str:
        if "ft" not in self._language.units:
            return match[0]
        return f"{match['n']} {self._form(self._language.units['ft'], match['n'])} {match['m']}"

    # --- other numbers ------------------------------------------------------------------------------------------------

    def _between(self, first: str, last: str) -> str:
        return f"{first}{GLUE}{self._language.to}{GLUE}{last}"

    def _fraction(self, match: re.Match[str]) -> str:
        """A known fraction, with a whole number or not; what else looks so is as likely a date, but in equations."""
        number, over, whole = match["m"] or match["n"], match["d"], match["n"] if match["m"] else ""
        said = self._language.fractions.get(f"{number}/{over}")
        if said is None and "=" in match.string:
            said = f"{number} {self._named('/')} {over}"
        if said is None:
            return match[0]
        said = said.replace(" ", GLUE)
        return f"{whole} {self._named('&')}{GLUE}{said}" if whole else said

    def _vulgar(self, match: re.Match[str]) -> str:
        said = self._language.fractions.get(_VULGAR[match["sign"]])
        if said is None:
            return match[0]
        behind_number = match.string[max(match.start() - 2, 0) : match.start()].strip()[-1:].isdigit()
        return f"{GLUE}{self._named('&')} {said}" if behind_number else GLUE + said

    def _range(self, match: re.Match[str]) -> str:
        """A hyphen only between numbers that ascend: 10-20, but not the results and types that are written alike."""
        first, last = match["n"], match["m"]
        if match["sign"] == "-" and not (first.isdecimal() and last.isdecimal() and int(first[:9]) < int(last[:9])):
            return match[0]
        blanks = match["sign"].count(" ")
        return f"{first} {self._language.to} {last}" if blanks == 2 else self._between(first, last)

    def _by(self, match: re.Match[str]) -> str:
        return f"{match['n']}{match['a'] or GLUE}{self._named(match['sign'])}{match['b'] or GLUE}"

    # --- signs --------------------------------------------------------------------------------------------------------

    def _named(self, sign: str) -> str:
        return self._language.signs[sign].replace(" ", GLUE)

    def _word(self, sign: str) -> str:
        return f"{GLUE}{self._named(sign)}{GLUE}"

    def _operator(self, match: re.Match[str]) -> str:
        return self._word(match[0])

    def _slash(self, match: re.Match[str]) -> str:
        """Between two words; in a path it stays."""
        start = match.start()
        before = re.split(rf"[ {GLUE}]", match.string[max(0, start - 40) : start])[-1]
        return GLUE if before.isalpha() else "/"

    def _mail(self, match: re.Match[str]) -> str:
        name = re.sub(
            r"[._+-]", lambda sign: self._word({".": "dot", "-": "hyphen"}.get(sign[0], sign[0])), match["name"]
        )
        return f"{name}{self._word('@')}{match['host']}"

    # --- words --------------------------------------------------------------------------------------------------------

    def _of_language(self, rule: Rule, match: re.Match[str]) -> str:
        if _follows(match, "."):
            return match[0]
        return spaced(match, rule(match)) + ("." if match[0].endswith(".") and match.end() == len(match.string) else "")

    def _abbreviation(self, match: re.Match[str]) -> str:
        """Its point stays where it may be the sentence's stop as well."""
        if _follows(match, "."):
            return match[0]
        short, behind = match[0], match.string[match.end() : match.end() + 2]
        ends = short.endswith(".") and (not behind or (short in self._language.closing and behind[1:].isupper()))
        return spaced(match, self._abbreviations[short]) + ("." if ends else "")


def _follows(match: re.Match[str], marks: str) -> bool:
    """Whether *match* stands right behind a letter, a digit or one of *marks*."""
    before = match.string[match.start() - 1] if match.start() else " "
    return before.isalnum() or before in marks


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
