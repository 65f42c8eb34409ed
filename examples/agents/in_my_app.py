"""A voice agent in a FastAPI application: uvicorn in_my_app:app --app-dir examples/agents, then open /voice/"""

from __future__ import annotations

import logging
import re

from fastapi import FastAPI, HTTPException

from vivavoce import Agent, AgentSession, create_app

log = logging.getLogger(__name__)
ORDERS = {"1042": "sent on Monday", "1043": "waiting for a saddle"}


async def look_up(session: AgentSession, text: str) -> str | None:
    """Tell the model what we know of the order that the user names."""
    for number in re.findall(r"\d+", text):
        session.userdata["order"] = number
    number = session.userdata.get("order")
    log.info("conversation %s: order %s", session.conversation_id, number)
    return f"{text}\n(Order {number}: {ORDERS.get(number, 'unknown')}.)" if number else None


voice = create_app(agent=Agent("You tell customers where their orders are.", name="orders", on_user_turn=look_up))
app = FastAPI(lifespan=voice.lifespan)
app.mount("/voice", voice)


@app.get("/orders/{number}")
def order(number: str) -> dict[str, str]:
    if number not in ORDERS:
        raise HTTPException(404)
    return {"number": number, "state": ORDERS[number]}
