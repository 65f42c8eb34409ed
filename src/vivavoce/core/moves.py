"""What can happen to the floor (events, past tense), and what can be done about it (actions, imperative)."""

from __future__ import annotations

from typing import Any

import msgspec

from vivavoce.events import Decision, InterruptReason

# --- events ---------------------------------------------------------------------------------------------------------


class StreamOpened(msgspec.Struct, frozen=True):
    """The client (re)opened its utterance stream: a `stop` refers to what follows."""


class SpeechStarted(msgspec.Struct, frozen=True):
    """Somebody began to speak (`first`: of a new utterance)."""

    first: bool = True


class Heard(msgspec.Struct, frozen=True):
    """The recogniser has a transcript of the open utterance; `stable` when it is as good as final."""

    utterance: str
    text: str
    speech_s: float
    stable: bool = False
    paused: bool = False
    """Whether the speaker is silent at the moment."""


class UtteranceEnded(msgspec.Struct, frozen=True):
    """The open utterance is over; its final transcript follows."""

    reason: str
    values: dict[str, Any] = {}


class StopRequested(msgspec.Struct, frozen=True):
    """The speaker says that they are done, and no utterance was open."""


class Recognized(msgspec.Struct, frozen=True):
    """The final transcript of an utterance; `text` is empty when there were no words, or the recogniser `failed`."""

    utterance: str
    text: str
    failed: bool = False


class Typed(msgspec.Struct, frozen=True):
    text: str


class SayRequested(msgspec.Struct, frozen=True):
    """The agent wants to say *text* of its own accord; None: what it opens a session with."""

    text: str | None
    interruptible: bool = True


class Shielded(msgspec.Struct, frozen=True):
    """Reply *number* may not be talked over any more (`on`), or may be again. Shields are counted."""

    number: int
    on: bool


class CancelRequested(msgspec.Struct, frozen=True):
    pass


class ReplyEnded(msgspec.Struct, frozen=True):
    """Reply *number* has ended by itself, heard to the end or failed."""

    number: int


class TurnTimedOut(msgspec.Struct, frozen=True):
    number: int


class Closed(msgspec.Struct, frozen=True):
    """The session ends."""

    reason: InterruptReason


Event = (
    StreamOpened
    | SpeechStarted
    | Heard
    | UtteranceEnded
    | StopRequested
    | Recognized
    | Typed
    | SayRequested
    | Shielded
    | CancelRequested
    | ReplyEnded
    | TurnTimedOut
    | Closed
)

# --- actions --------------------------------------------------------------------------------------------------------


class OpenUtterance(msgspec.Struct, frozen=True):
    """Begin to recognise utterance *id*."""

    id: str


class FinishUtterance(msgspec.Struct, frozen=True):
    """No more audio for utterance *id*: get its final transcript."""

    id: str


class DropUtterances(msgspec.Struct, frozen=True):
    """Abandon everything that is being recognised."""


class StartReply(msgspec.Struct, frozen=True):
    """Answer *text*. A `preemptive` reply stays unheard and without effect until it is confirmed."""

    number: int
    text: str
    utterance: str | None = None
    preemptive: bool = False


class ConfirmReply(msgspec.Struct, frozen=True):
    """The pre-emptive reply was right: let it be heard."""

    number: int
    utterance: str


class DiscardReply(msgspec.Struct, frozen=True):
    """The pre-emptive reply was wrong: nobody ever knows of it."""

    number: int


class StartSpeech(msgspec.Struct, frozen=True):
    """The agent says *text* of its own accord; None: what it opens a session with."""

    number: int
    text: str | None


class EndEmptyTurn(msgspec.Struct, frozen=True):
    """A turn that needs no reply (nothing was said, or only the transcript was wanted): close it with its metrics."""

    number: int
    utterance: str | None
    text: str
    failed: bool = False


class Transcribe(msgspec.Struct, frozen=True):
    """Tell the client the final transcript of *utterance*, which belongs to turn *number*."""

    number: int
    utterance: str
    text: str


class HoldReply(msgspec.Struct, frozen=True):
    """Perhaps an interruption: stop sending audio, tell the client to pause."""

    number: int
    reason: str


class ResumeReply(msgspec.Struct, frozen=True):
    number: int
    reason: str


class CutReply(msgspec.Struct, frozen=True):
    """Flush the client first, then cancel the reply; memory keeps what was heard, unless `forget`."""

    number: int
    reason: InterruptReason
    forget: bool = False


class Explain(msgspec.Struct, frozen=True):
    """Show the decision to whoever watches."""

    decision: Decision


class Refuse(msgspec.Struct, frozen=True):
    """The request cannot be taken."""

    code: str
    message: str


Action = (
    OpenUtterance
    | FinishUtterance
    | DropUtterances
    | StartReply
    | ConfirmReply
    | DiscardReply
    | StartSpeech
    | EndEmptyTurn
    | Transcribe
    | HoldReply
    | ResumeReply
    | CutReply
    | Explain
    | Refuse
)
