"""What wraps a chat model and is one."""

from __future__ import annotations

from vivavoce.engines.base import ChatModel


class Wrapped:
    """Everything but the answers is the inner model's own."""

    def __init__(self, model: ChatModel) -> None:
        self.inner = model

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def model(self) -> str:
        return self.inner.model

    async def start(self) -> None:
        await self.inner.start()

    async def close(self) -> None:
        await self.inner.close()
