"""A reception that puts callers through to the workshop: vivavoce serve examples/agents/reception.py"""

from __future__ import annotations

from vivavoce import Agent, AgentSession, NoReply

workshop = Agent(
    "You are the workshop of a bicycle shop. Ask what is broken, and offer a time tomorrow morning.",
    name="workshop",
    greeting="This is the workshop. What can we repair for you?",
    still_there_s=20,
)


def to_the_workshop(session: AgentSession) -> Agent:
    """Put the caller through to the workshop: for repairs, and for nothing else."""
    session.userdata["put_through"] = True
    return workshop


async def on_user_turn(session: AgentSession, text: str) -> None:
    """What is a matter of rules needs no model."""
    if "complain" in text.lower():
        session.say("Complaints are written down. You have thirty seconds after the tone.", interruptible=False)
        raise NoReply


agent = Agent(
    "You answer the telephone of a bicycle shop in one sentence. Put callers with repairs through.",
    name="reception",
    tools=[to_the_workshop],
    greeting="Bicycle shop, good day.",
    on_user_turn=on_user_turn,
    still_there_s=15,
    still_there="Hello? Can you hear me?",
    still_there_times=2,
)
