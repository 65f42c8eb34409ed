"""Arithmetic in words and signs, exact and with limits: "twelve times seven", "15% of 80", "(4 + 5) / 3"."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import NamedTuple

from vivavoce.assistant import numbers

MOST_TOKENS = 80
DEEPEST = 20
MOST_BITS = 400
"""Of a power; results beyond twice as many are refused, which is about 10 to the 240."""


class NotArithmetic(Exception):
    """The text is no calculation."""


class CannotCalculate(Exception):
    """It is one, but it has no answer; the message says why, to be spoken."""


# Spoken operators, longest first; each becomes one piece.
OPERATORS = {
    "to the power of": "^", "raised to the power of": "^", "raised to": "^", "to the power": "^", "power": "^",
    "multiplied by": "*", "multiplied with": "*", "multiply by": "*", "times": "*", "x": "*", "by": "*", "time": "*",
    "divided by": "/", "divide by": "/", "divided": "/", "over": "/", "plus": "+", "added to": "+", "add": "+",
    "and": "+", "minus": "-", "less": "-", "take away": "-", "subtract": "-", "subtracted by": "-", "modulo": "mod",
    "mod": "mod", "percent of": "%of", "per cent of": "%of", "percent off": "%off", "percent": "%", "per cent": "%",
    "squared": "^2", "cubed": "^3", "factorial": "!", "the square root of": "sqrt", "square root of": "sqrt",
    "square root": "sqrt", "root of": "sqrt", "sqrt": "sqrt", "root": "sqrt", "the cube root of": "cbrt",
    "cube root of": "cbrt", "half of": "half",
    "the half of": "half", "of": "of", "double": "twice", "twice": "twice", "triple": "thrice", "the square of": "sq",
    "open parenthesis": "(", "close parenthesis": ")", "open bracket": "(", "close bracket": ")",
}  # fmt: skip
LONGEST_OPERATOR = max(len(name.split()) for name in OPERATORS)
SIGNS = {"+": "+", "-": "-", "−": "-", "–": "-", "*": "*", "×": "*", "·": "*", "/": "/", "÷": "/", "^": "^", "**": "^",
         "(": "(", ")": ")", "%": "%", "!": "!", "√": "sqrt"}  # fmt: skip
LEXEME = re.compile(r"\*\*|[-+−–*×·/÷^()%!√]|\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+|[^\W\d_]+(?:'[^\W\d_]+)?")
LEADS = re.compile(
    r"(?:what(?: is|'s| are)?|whats|how much (?:is|are)|how many (?:is|are)|calculate|compute|work out|solve|evaluate"
    r"|what (?:do you get|happens) (?:if|when) (?:you|i)|what do i get if i|the (?:result|value|answer) (?:of|to)"
    r"|find|figure out|do the math|the)\s+",
    re.IGNORECASE,
)
TAILS = re.compile(r"\s+(?:equals?(?: to)?|make|makes|is|are|is what|equals what|give|be)$", re.IGNORECASE)
PREFIX = re.compile(
    r"(?:(?:add|(?:the )?sum of) (?P<add>.+?) (?:and|to|with) |(?:subtract|take) (?P<subtract>.+?) from "
    r"|multiply (?P<multiply>.+?) (?:by|and|with) |divide (?P<divide>.+?) by "
    r"|(?:the )?difference (?:of|between) (?P<difference>.+?) and |(?:the )?product of (?P<product>.+?) and "
    r"|(?:the )?quotient of (?P<quotient>.+?) and )(?P<other>.+)"
)
SPELLED = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "difference": "-",
    "product": "*",
    "quotient": "/",
}
Token = str | Fraction


class Operator(NamedTuple):
    binds: int
    right: bool = False


BINARY = {"+": Operator(1), "-": Operator(1), "*": Operator(2), "/": Operator(2), "mod": Operator(2), "of": Operator(2),
          "%of": Operator(2), "%off": Operator(2), "^": Operator(4, right=True)}  # fmt: skip
BEFORE = {"-": 3, "+": 3, "sqrt": 5, "cbrt": 5, "half": 2, "twice": 2, "thrice": 2, "sq": 5}
AFTER = {"%", "^2", "^3", "!"}


def calculate(text: str, that: Fraction | None = None) -> Fraction:
    """The value of *text*.

    that: the last result, for "times two" and "that plus one". Raises NotArithmetic or CannotCalculate.
    """
    words = strip_leads(re.sub(r"(?<![\d)])!+$", "", text.lower().strip().rstrip("?.= ")))
    if found := PREFIX.fullmatch(words):
        words = rearranged(found)
    tokens = tokenize(words, that)
    if that is not None and tokens and tokens[0] in ("*", "/", "+", "^", "mod"):
        tokens.insert(0, that)
    if not any(piece in BINARY or piece in BEFORE or piece in AFTER for piece in tokens if piece != "%"):
        raise NotArithmetic
    if not any(isinstance(piece, Fraction) for piece in tokens) or tokens in ([], ["-"]):
        raise NotArithmetic
    if len(tokens) == 2 and tokens[0] in ("-", "+"):
        raise NotArithmetic  # a lone number
    parser = Parser(tokens)
    value = parser.expression(0, 0)
    if parser.at != len(tokens):
        raise NotArithmetic
    return value


def strip_leads(words: str) -> str:
    """*words* without "what is", "calculate" and the like."""
    while found := LEADS.match(words):
        words = words[found.end() :]
    return TAILS.sub("", words).strip()


def rearranged(found: re.Match[str]) -> str:
    """ "subtract five from twelve" as "twelve minus five"."""
    name = next(each for each in SPELLED if found[each])
    one, two = found[name], found["other"]
    if name == "subtract":
        one, two = two, one
    return f"( {one} ) {SPELLED[name]} ( {two} )"


def tokenize(words: str, that: Fraction | None) -> list[Token]:
    """Numbers and operator names. Raises NotArithmetic at the first word that is neither."""
    lexemes = LEXEME.findall(words)
    if "".join(lexemes) != re.sub(r"[\s,?]", "", words) and "".join(lexemes) != re.sub(r"[\s?]", "", words):
        raise NotArithmetic
    tokens: list[Token] = []
    at = 0
    while at < len(lexemes):
        if len(tokens) > MOST_TOKENS:
            if not any(isinstance(each, Fraction) for each in tokens):
                raise NotArithmetic
            raise CannotCalculate("That is too long for me to calculate.")
        at = next_token(lexemes, at, tokens, that)
    return tokens


def next_token(lexemes: list[str], at: int, tokens: list[Token], that: Fraction | None) -> int:
    """Append the piece that begins at lexeme *at*; returns where the next one begins."""
    if lexemes[at] in SIGNS:
        tokens.append(SIGNS[lexemes[at]])
        return at + 1
    if lexemes[at][0] == ".":
        tokens.append(Fraction("0" + lexemes[at]))
        return at + 1
    after_number = bool(tokens) and (isinstance(tokens[-1], Fraction) or tokens[-1] in AFTER or tokens[-1] == ")")
    if after_number or lexemes[at] not in ("minus", "a", "an"):
        for size in range(LONGEST_OPERATOR, 0, -1):
            operator = OPERATORS.get(" ".join(lexemes[at : at + size]))
            if operator and at + size <= len(lexemes):
                tokens.append(operator)
                return at + size
    if lexemes[at] in ("that", "it") and that is not None:
        tokens.append(that)
        return at + 1
    if len(lexemes[at]) > 40 and lexemes[at][0].isdecimal():
        raise CannotCalculate("That number is too long for me.")
    taken = numbers.take(lexemes, at)
    if taken is None or after_number:
        raise NotArithmetic
    tokens.append(taken[0])
    return taken[1]


class Parser:
    """Precedence climbing over tokens. Raises NotArithmetic where they make no sense."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def expression(self, binds: int, depth: int) -> Fraction:
        """The value of what follows, up to an operator that binds less than *binds*."""
        if depth > DEEPEST:
            raise CannotCalculate("That is nested too deeply for me.")
        left = self.operand(depth)
        while True:
            piece = self.peek()
            if isinstance(piece, str) and piece in AFTER:
                self.at += 1
                left = apply_after(piece, left)
                continue
            operator = BINARY.get(piece) if isinstance(piece, str) else None
            if operator is None or operator.binds < binds:
                return left
            self.at += 1
            right = self.expression(operator.binds + (not operator.right), depth + 1)
            percent = self.at and self.tokens[self.at - 1] == "%" and piece in ("+", "-")
            left = apply(str(piece), left, left * right if percent else right)

    def operand(self, depth: int) -> Fraction:
        piece = self.peek()
        self.at += 1
        if isinstance(piece, Fraction):
            return piece
        if piece == "(":
            value = self.expression(0, depth + 1)
            if self.peek() != ")":
                raise NotArithmetic
            self.at += 1
            return value
        if piece in BEFORE and isinstance(piece, str):
            return apply_before(piece, self.expression(BEFORE[piece], depth + 1))
        raise NotArithmetic


def apply(operator: str, left: Fraction, right: Fraction) -> Fraction:
    match operator:
        case "+":
            return bounded(left + right)
        case "-":
            return bounded(left - right)
        case "*" | "of":
            return bounded(left * right)
        case "%of":
            return bounded(left * right / 100)
        case "%off":
            return bounded(right - left * right / 100)
        case "^":
            return power(left, right)
    if right == 0:
        raise CannotCalculate("Nobody can divide by zero, and neither can I.")
    return bounded(left / right if operator == "/" else left % right)


def apply_before(operator: str, value: Fraction) -> Fraction:
    match operator:
        case "-":
            return -value
        case "sqrt":
            if value < 0:
                raise CannotCalculate("A negative number has no real square root.")
            return root(value, 2)
        case "cbrt":
            return root(value, 3) if value >= 0 else -root(-value, 3)
        case "half":
            return value / 2
        case "sq":
            return power(value, Fraction(2))
    return bounded(value * {"twice": 2, "thrice": 3}.get(operator, 1))


def apply_after(operator: str, value: Fraction) -> Fraction:
    if operator == "%":
        return value / 100
    if operator == "!":
        if value.denominator != 1 or not 0 <= value <= 60:
            raise CannotCalculate("I can only take the factorial of whole numbers up to sixty.")
        return Fraction(math.factorial(int(value)))
    return power(value, Fraction(int(operator[1])))


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """*base* to the *exponent*; refuses what would be huge before it is computed."""
    if base == 0 and exponent <= 0:
        raise CannotCalculate("Zero to that power has no value.")
    if exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits > 1 and abs(exponent) * (bits - 1) > MOST_BITS:
            raise CannotCalculate("That number is too large for me.")
        exact = base ** (int(exponent) if abs(base) != 1 else int(exponent) % 2)
        return bounded(Fraction(exact))
    if base < 0:
        raise CannotCalculate("That has no real answer.")
    if abs(exponent) > MOST_BITS or abs(math.log2(base or 1) * float(exponent)) > MOST_BITS:
        raise CannotCalculate("That number is too large for me.")
    if exponent == Fraction(1, 2):
        return root(base, 2)
    return Fraction(float(base) ** float(exponent))


def root(value: Fraction, degree: int) -> Fraction:
    """Exact where it is rational, else as good as a float."""
    near = Fraction(float(value) ** (1 / degree))
    for candidate in (Fraction(round(near)), near.limit_denominator(1000)):
        if candidate**degree == value:
            return candidate
    return near


def bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2 * MOST_BITS:
        raise CannotCalculate("That number is too large for me.")
    return value
