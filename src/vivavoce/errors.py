"""Every error the server knows, and the code a client sees for it.

VivavoceError
├── SettingsError                       a value that cannot be used; stops the start
├── ClientError                         the client did something wrong; the connection lives on
│   └── BAD_MESSAGE, UNKNOWN_TYPE, NOT_STARTED, ALREADY_STARTED, BAD_SAMPLE_RATE, BAD_AUDIO,
│       FRAME_TOO_LARGE, RATE_LIMITED, UNAUTHORIZED
├── ServerBusy                          OVERLOADED, SESSION_LIMIT, SHUTTING_DOWN
└── EngineError                         an engine failed; the turn ends, the session lives on
    ├── EngineUnavailable               MODEL_LOAD_FAILED: it cannot be loaded or reached; nothing was consumed
    ├── EngineTimeout                   ASR_TIMEOUT, LLM_TIMEOUT, TTS_TIMEOUT: it gave nothing within its deadline
    ├── EngineBusy                      OVERLOADED: no worker was free in time
    └── EngineFailed                    ASR_FAILED, LLM_FAILED, TTS_FAILED: it broke while working
"""

from __future__ import annotations

from typing import Literal

Role = Literal["asr", "llm", "tts", "vad"]


class VivavoceError(Exception):
    """Base of all errors raised on purpose. `code` is stable and upper snake case."""

    code: str = "INTERNAL"
    recoverable: bool = True

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        """What the reader can do next; empty when there is nothing."""


class SettingsError(VivavoceError):
    """One or more settings cannot be used; `problems` holds one line for each."""

    code = "BAD_SETTINGS"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ClientError(VivavoceError):
    """The client sent something that cannot be used; `code` says what."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class ServerBusy(VivavoceError):
    """The server will not take this on now; try again after `retry_after_s`."""

    code = "OVERLOADED"

    def __init__(self, code: str, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s


class EngineError(VivavoceError):
    """An engine failed. `role` says which kind, so that the code can name it."""

    suffix = "FAILED"
    transient = False
    """Whether the same request may well succeed in a moment; whoever raises the error sets it."""
    retry_after_s = 0.0
    """The least time that a server asked to be left alone."""

    def __init__(self, role: Role, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.role = role
        self.code = f"{role.upper()}_{self.suffix}"


class EngineFailed(EngineError):
    """The engine broke while it worked; what it had yielded stands."""


class EngineTimeout(EngineError):
    """The engine gave nothing within its deadline."""

    suffix = "TIMEOUT"


class EngineUnavailable(EngineError):
    """The engine cannot be loaded or reached; it consumed nothing."""

    def __init__(self, role: Role, message: str, *, hint: str = "") -> None:
        super().__init__(role, message, hint=hint)
        self.code = "MODEL_LOAD_FAILED"


class EngineBusy(EngineError):
    """No worker was free within the time allowed."""

    def __init__(self, role: Role, message: str, *, hint: str = "") -> None:
        super().__init__(role, message, hint=hint)
        self.code = "OVERLOADED"
