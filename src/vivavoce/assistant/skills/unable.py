"""What needs a connected model or service: said plainly, with what would be needed."""

from __future__ import annotations

from vivavoce.assistant.skill import Skill

skill = Skill("unable")

CONNECT = "Connect a language model, such as Ollama, and I can. The engine badge on the page says how."
UNKNOWN = f"I can't answer that offline. {CONNECT}"
NOT_ENGLISH = "I only speak English offline. For other languages, connect a language model; the engine badge says how."
NOTHING_HEARD = "Sorry, I didn't catch that."


def cannot(what: str, spoken: str, *, also: str = "") -> None:
    """Say plainly that *what* these templates ask for is out of reach."""
    skill.on(spoken, also=also)(lambda: what)


cannot(
    "I can't see the weather offline. That needs a language model that is connected to a weather service.",
    """
    (what is|what's|how is|how's) the weather [today|tomorrow|like|like today|like tomorrow];
    (what is|what's|how is) the weather (in|like in) {city}; (will it|is it going to) (rain|snow) [today|tomorrow];
    is it (raining|snowing|cold|hot|warm|windy|sunny) [outside]; (what is|what's) the temperature [outside|today];
    do i need (an umbrella|a jacket|a coat) [today|tomorrow];
    (what is|what's) the forecast [for] [today|tomorrow|the weekend]
    """,
    also="""
    [the] weather [please|today|forecast|report|tomorrow|in {city}]; how (hot|cold|warm) is it [outside|today];
    (what is|how is) the (weather|forecast|temperature) {rest}; what the weather is [like]; will it be {rest};
    will it (rain|snow) {rest}; is it going to (rain|snow) {rest}
    """,
)
cannot(
    "I can't get the news offline. That needs a connected language model that can look it up.",
    """
    (what is|what's|tell me|read me) the news [today]; what are the headlines; what is happening in the world;
    what happened today; who won the (game|match|election); (what is|what's) the score
    """,
    also="""
    [the|any] [latest] (news|headlines) [please|today]; (what is|any) [the] [latest] news {rest}; who won {rest};
    (what is|how is) the (stock|stock market|price of {rest}); stock (price|market)
    """,
)
cannot(
    "I can't play music. I can tell you a story instead.",
    """
    play [some] music; play a song; play (jazz|rock music|classical music|my playlist|the radio|something);
    (pause|stop|resume) the music; next song; skip this song; turn (up|down) the (volume|music); volume (up|down)
    """,
    also="play {rest}; put on {rest} music; louder; quieter; (turn|set) the volume {rest}; [speak] (louder|quieter)",
)
cannot(
    "I'm not connected to anything in your home, so I can't switch that.",
    """
    turn (on|off) the (light|lights|lamp|fan|heating|television|t v|radio|oven|heater);
    turn (on|off) the (kitchen|bedroom|bathroom|living room|hall) (light|lights|lamp); turn the lights (on|off);
    switch (on|off) the (light|lights|lamp); dim the lights;
    (lock|unlock|open|close) the (front door|back door|door|garage|garage door|window|blinds|curtains);
    set the (thermostat|temperature|heating) to {number} [degrees];
    is the (front door|door|garage) (locked|open|closed)
    """,
    also="""
    (turn|switch) (on|off) {rest}; (turn|switch) the {rest} (on|off); (lock|unlock) {rest}; lights (on|off);
    make it (warmer|colder|brighter|darker); (open|close) the {rest}; (dim|brighten) {rest}; start the {rest}
    """,
)
cannot(
    "I can't call or write to anybody. I only talk with you.",
    """
    call (mom|dad|my wife|my husband|the police|an ambulance); call {common_name:rest};
    send a message [to {common_name:rest}]; send an email; text {common_name:rest}; read my (messages|emails|mail);
    answer the phone; do i have [any] new (messages|mail)
    """,
    also="""
    (call|phone|dial|text|email|message) {rest}; send (a|an) {rest}; check my (mail|email|messages);
    make a [phone] call
    """,
)
cannot(
    "I keep no lists or calendar. Tell me to remember something, and I will, in this conversation.",
    """
    add {label} to (my|the) (shopping list|list|to do list); what is on my (shopping list|to do list|calendar);
    (make|create) a [shopping|to do] list; add an appointment;
    do i have [any] (meetings|appointments) [today|tomorrow]
    """,
    also="""
    add {rest} to (my|the) {label}; (put|write) {rest} on (my|the) {label}; schedule {rest};
    (check|show) my calendar
    """,
)
cannot(
    f"I can't book or order anything. {CONNECT}",
    """
    book a (room|table|flight|hotel|taxi|ticket); order (a pizza|some food|a taxi|flowers);
    find a restaurant [nearby]; how do i get (home|there|to the station);
    where is the nearest (bank|hospital|station|restaurant); how is the traffic [today];
    when is the next (bus|train); how far is it to {city}; where am i
    """,
    also="""
    (book|order|buy|reserve) {rest}; (find|search) {rest}; (directions|navigate|take me) [to] {rest};
    search for {rest}; look up {rest}; google {rest}
    """,
)
cannot(
    UNKNOWN,
    "how do i connect a [language] model; how can i connect a model; why can't you answer; use a language model",
    also="""
    how do i (connect|use|install|add|set up) {rest}; connect [to] {rest}; how do i get a (better|language) model
    """,
)
