"""What is remembered reaches the models of flows that ask for the conversation, and no others."""

from __future__ import annotations

from kit import FakeModel
from transports.wire import a_server, virtual
from vivavoce.flows.documents import read_yaml

FLOW = """
id: desk
nodes:
  - {id: ask, type: listen, into: wish}
  - {id: plain, type: llm, into: one, quiet: true}
  - {id: knowing, type: llm, history: true}
edges: [[ask, plain], [plain, knowing], [knowing, ask]]
"""


@virtual
async def test_pins_go_with_the_history() -> None:
    model = FakeModel("Fine.", gap_s=0.0)
    async with a_server(llm=model) as app:
        document = read_yaml(FLOW)
        await app.state.flows.save(document.value["id"], document)
        peer = await app.connect()
        await peer.start(flow="desk", language="xx")
        await peer.ask("remember that my car is on level 3")
        await peer.ask("where is it")
    plain, knowing = model.requests[-2:]
    assert (plain.pins, knowing.pins) == ((), ("my car is on level 3",))
    assert len(plain.messages) == 1
    assert len(knowing.messages) > 1
