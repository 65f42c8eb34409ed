"""Fields of a request that some servers, or some of their models, refuse: such a request is made again without them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vivavoce.engines.upstream import Refusal

OF_A_REQUEST = (400, 404, 422, 500, 501)
"""Statuses with which the servers in use refuse a field; llama.cpp's says 500 where it has no tools."""
FOR_GOOD = re.compile(
    r"support|unknown|unrecogni[sz]ed|unexpected|extra|permitted|allowed|requires?\b|unmarshal|literal_error",
    re.IGNORECASE,
)
"""What is said of a field that no request of this model may have, rather than of this request's value."""


class Fields:
    """What the models of one server do not take, learned from its refusals."""

    def __init__(self, words: Mapping[str, str], *, unnamed: Sequence[str] = ()) -> None:
        """words: what a server calls each field that can be left out, as a pattern. unnamed: the fields to do without,
        one after the other, when a refusal gives no reason at all."""
        self._words = {field: re.compile(pattern, re.IGNORECASE) for field, pattern in words.items()}
        self._unnamed = tuple(unnamed)
        self._refused: dict[str, frozenset[str]] = {}

    def refused(self, model: str | None) -> frozenset[str]:
        """The fields that *model* is known not to take."""
        return self._refused.get(model or "", frozenset())

    def blamed(self, refusal: Refusal, body: Mapping[str, object]) -> str | None:
        """The field of *body* that the server does not take; None when it is something else."""
        if refusal.status not in OF_A_REQUEST:
            return None
        sent = [field for field in self._words if field in body]
        if refusal.param:
            root = re.split(r"[.\[]", refusal.param, maxsplit=1)[0]
            return root if root in sent else None
        if refusal.message:
            return next((field for field in sent if self._words[field].search(refusal.message)), None)
        if refusal.status in (400, 422):
            return next((field for field in self._unnamed if field in sent), None)
        return None

    def learn(self, model: str | None, field: str, refusal: Refusal) -> None:
        """*model* answered without *field*. What was wrong only with this request's value will be sent again."""
        nested = re.search(r"[.\[]", refusal.param)
        if not refusal.message or (FOR_GOOD.search(refusal.message) and not nested):
            self._refused[model or ""] = self.refused(model) | {field}
