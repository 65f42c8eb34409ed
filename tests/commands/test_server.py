"""Commands in the whole application, and what they cost before they are used."""

from __future__ import annotations

import subprocess
import sys

from commands.home import answer
from commands.test_agent import Home
from kit import FakeModel
from transports.wire import a_server, virtual
from vivavoce.settings import Settings, Streaming

NOTHING_HEAVY = """
import sys
import vivavoce.commands
heavy = {"hassil", "unicode_rbnf", "yaml", "numpy", "httpx", "home_assistant_intents"} & sys.modules.keys()
assert not heavy, heavy
"""


@virtual
async def test_over_the_socket() -> None:
    home = Home()
    model = FakeModel(answer("HassTurnOn", "Turning on the lamp.", name="night lamp"))
    settings = Settings(streaming=Streaming(audio_concurrency=5))
    async with a_server(settings, agent=home.agent, llm=model) as app:
        peer = await app.connect()
        await peer.start()
        metrics = await peer.ask("turn on the night lamp")
        command = peer.of("command")[0]
    assert (metrics["outcome"], command["turn_id"]) == ("done", metrics["turn_id"])
    assert command["entities"] == {"name": "bedroom lamp"}
    assert home.done == [("HassTurnOn", {"name": "bedroom lamp"})]
    assert home.agent.syntheses == 5  # the server's settings reach it


def test_importing_commands_imports_nothing_heavy() -> None:
    subprocess.run([sys.executable, "-c", NOTHING_HEAVY], check=True, timeout=40)
