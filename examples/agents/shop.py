"""A shop that knows its hours and its stock: vivavoce serve examples/agents/shop.py"""

from __future__ import annotations

from typing import Annotated, Literal

from vivavoce import Agent, ToolError

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
STOCK = {"city bike": 3, "tandem": 0, "child seat": 12}


def opening_hours(day: Day) -> str:
    """When the shop is open on a day of the week."""
    return {"saturday": "ten to four", "sunday": "closed"}.get(day, "nine to six")


async def in_stock(item: Annotated[str, "what is wanted, in the singular"]) -> int:
    """How many of an item there are in the shop."""
    if item.lower() not in STOCK:
        raise ToolError(f"there is no such item; there are: {', '.join(STOCK)}")
    return STOCK[item.lower()]


agent = Agent(
    "You work in a bicycle shop. Be brief and friendly. Never guess hours or stock: ask your tools.",
    name="shop",
    tools=[opening_hours, in_stock],
    greeting="Hello, this is the bicycle shop.",
)
