"""Timers, reminders and alarms. They ring in the session, so they need one."""

from __future__ import annotations

from vivavoce.assistant import dates, durations, numbers
from vivavoce.assistant.dates import TimeOfDay
from vivavoce.assistant.person import to_listener
from vivavoce.assistant.skill import Answer, CancelTimer, SetTimer, Skill, Turn

skill = Skill("timers")

LONGEST_S = 24 * 3600
MOST = 20
NO_SESSION = "Timers need a voice session, so I can't set one here."
HOW_LONG = "For how long? Say, for example, five minutes."


def start(turn: Turn, seconds: float, name: str, confirmation: str, announcement: str) -> Answer:
    """Set a timer if one can be set, and say what became of it."""
    if turn.timers is None:
        return Answer(NO_SESSION)
    if seconds < 1:
        return Answer("A timer needs at least one second.")
    if seconds > LONGEST_S:
        return Answer("That is too long for me. I can set timers of up to a day.")
    if len(turn.timers) >= MOST:
        return Answer(f"There are {len(turn.timers)} timers already. Cancel one first.")
    return Answer(confirmation, (SetTimer(name, seconds, announcement),))


@skill.on(
    """
    (set|start|make|create) (a|the|my) timer for {duration}; (set|start) (a|the) {short:duration} timer;
    (set|start|give me) timer for {duration}; timer for {duration};
    (please|could you|can you) set a timer for {duration}; i need a timer for {duration};
    i want a {short:duration} timer; (count|countdown) [down] [from|for] {duration}; wake me [up] in {duration};
    (set|start) an alarm (for|in) {duration} [from now]; (set|start) another timer for {duration}
    """,
    also="""
    timer {duration}; [(a|the|another)] {duration} timer [please];
    (set|sat|said|sent|let|put|start|give me|add|run|do|have) [(a|the|of|another|one|up)] (timer|time|timers|time
      or|timber|tamer) [(for|of|four|at|to|in|with)] {duration};
    (set|start|put|give me|add|run|do|have) [(a|the|another|one)] {duration} (timer|time|countdown);
    (alert|tell|notify|ping|warn|remind) me (in|after) {duration};
    set a timer that (rings|goes off) (in|after) {duration}; (set|start) an alarm {duration} from now;
    start counting [down] [from] {duration}; (set|start|begin) a countdown (of|for|from) {duration}
    """,
)
def set_timer(turn: Turn, duration: float) -> Answer:
    name = durations.adjective(duration)
    return start(
        turn,
        duration,
        name,
        f"Timer set for {durations.spoken(duration)}.",
        f"Time's up. Your {name} timer is done.",
    )


@skill.on(
    """
    set a {label} timer for {duration}; set a timer for {duration} for [the|my] {label};
    set a {short:duration} timer for [the|my] {label}; set a {short:duration} {label} timer
    """,
    also="""
    (set|start|create|make) (a|the|my|another) {label} timer (for|of) {duration};
    (set|start|create|make) (a|the|my|another) timer (for|of) {duration} (for|called|named|labeled|labelled)
    [(the|my)] {label}; (set|start|create|make) (a|the|my|another) timer (called|named) {label} for {duration};
    (set|start) (a|the) timer for [(the|my)] {label} for {duration};
    (set|start|create|make) (a|the|my|another) {duration} timer (for|called|named) [(the|my)] {label};
    (set|start|create|make) (a|the|my|another) {duration} {label} timer; (a|an|another) {duration} {label} timer;
    {label} timer for {duration}; {duration} timer for [(the|my)] {label}
    """,
)
def set_named(turn: Turn, label: str, duration: float) -> Answer:
    name = label.lower()
    length = durations.spoken(duration)
    return start(
        turn, duration, name, f"{sentence(name)} timer set for {length}.", f"Time's up. Your {name} timer is done."
    )


@skill.on(
    "remind me to {task} in {duration}; remind me in {duration} to {task}",
    also="""
    (remind|tell|alert) me (in|after) {duration} (to|that|about) {task};
    (remind|tell) me (to|about) {task} (in|after) {duration}; in {duration} remind me (to|that|about) {task};
    (set|create|make) a reminder (to|for) {task} in {duration};
    (set|create|make) a reminder in {duration} (to|for) {task}; wake me [up] in {duration} (to|for) {task}
    """,
)
def remind(turn: Turn, task: str, duration: float) -> Answer:
    heard = to_listener(task)
    return start(
        turn,
        duration,
        heard.lower(),
        f"Okay, I'll remind you in {durations.spoken(duration)}.",
        f"Here is your reminder: {heard}.",
    )


@skill.on(
    "set an alarm (for|at) {clock}; wake me [up] at {clock}; set my alarm for {clock}",
    also="""
    [an] alarm (for|at) {clock}; (set|start|put) (a|the|an) (alarm|timer) (for|to|at|until) {clock};
    set alarm (for|at) {clock}; remind me at {clock}
    """,
)
def alarm(turn: Turn, clock: TimeOfDay) -> Answer:
    when = dates.next_time(clock, turn.now)
    said = dates.spoken_time(when)
    return start(
        turn, (when - turn.now).total_seconds(), "alarm", f"Okay, I'll ring at {said}, while this session is open.",
        f"It is {said}. This is your alarm.",
    )  # fmt: skip


@skill.on(
    "remind me to {task} at {clock}",
    also="remind me at {clock} to {task}; at {clock} remind me to {task}",
)
def remind_at(turn: Turn, task: str, clock: TimeOfDay) -> Answer:
    when = dates.next_time(clock, turn.now)
    heard = to_listener(task)
    return start(
        turn, (when - turn.now).total_seconds(), heard.lower(), f"Okay, I'll remind you at {dates.spoken_time(when)}.",
        f"Here is your reminder: {heard}.",
    )  # fmt: skip


@skill.on(
    "(set|start) (a|the|another) timer; i need a timer; set an alarm",
    also="timer; (set|start) timer; alarm",
)
def ask_length(turn: Turn) -> Answer:
    return Answer(NO_SESSION if turn.timers is None else HOW_LONG)


@skill.on(
    also="[(for|make it|about|say)] {duration} [please]",
)
def length_given(turn: Turn, duration: float) -> Answer | None:
    """The answer to our own question."""
    last = next((said.text for said in reversed(turn.history) if said.by == "assistant"), "")
    return set_timer(turn, duration) if last == HOW_LONG else None


@skill.on(
    "remind me to {task}",
    also="(set|make) a reminder [(to|for) {task}]",
)
def ask_when(turn: Turn) -> Answer:
    return Answer(NO_SESSION if turn.timers is None else "Tell me when. Say, for example, remind me in ten minutes.")


@skill.on(
    """
    (cancel|stop|delete|clear|remove|turn off|end) (all|all the|all my) (timers|alarms);
    (cancel|stop|delete|clear|turn off|end) (the|my) (timers|alarms)
    """,
    also="(cancel|stop|clear) (everything|timers|all|all of them|both|them all|reminders|alarms); no more timers",
)
def cancel_all(turn: Turn) -> Answer:
    if not turn.timers:
        return nothing_running(turn)
    count = len(turn.timers)
    return Answer(
        "Okay, the timer is off." if count == 1 else f"Okay, all {numbers.in_words(count)} timers are off.",
        (CancelTimer(None),),
    )


@skill.on(
    "(cancel|stop|delete|turn off|end|kill) [the|my|that] (timer|alarm|reminder); cancel timer",
    also="""
    (cancel|council|counsel|cancels) (the|my|a|that) (timer|time|time or|reminder); cancel time; timer off;
    (stop|end|quit|cancel) (counting|ringing|the countdown); turn the (timer|alarm) off; timer (stop|cancel)
    """,
)
def cancel(turn: Turn) -> Answer:
    """Cancels the only timer; of several, asks which."""
    if not turn.timers:
        return nothing_running(turn)
    if len(turn.timers) > 1:
        return Answer(f"Which one? You have {names(turn)}. Or say, cancel all timers.")
    return Answer("Okay, the timer is off.", (CancelTimer(turn.timers[0][0]),))


@skill.on(
    "(cancel|stop) (the|my) {short:length} timer; (cancel|stop) (the|my) {label} (timer|reminder|alarm)",
    also="""
    (cancel|stop|delete|clear|remove|turn off|end) [(the|my)] {label} (timer|reminder|alarm);
    (cancel|stop|delete|remove) (the|my) timer (for|called|named) [(the|my)] {label}
    """,
)
def cancel_named(turn: Turn, label: str = "", length: float = 0.0) -> Answer:
    if not turn.timers:
        return nothing_running(turn)
    wanted = label.lower() or durations.adjective(length)
    seconds = durations.duration(wanted)
    wanted = durations.adjective(seconds) if seconds else wanted
    name = next((name for name, _ in turn.timers if name == wanted), None)
    if name is None:
        return Answer(f"There is no {wanted} timer. You have {names(turn)}.")
    return Answer(f"Okay, the {wanted} timer is off.", (CancelTimer(name),))


@skill.on(
    """
    how much time is left [on (the|my) timer]; how much time is left on the {label} timer;
    how long is left [on the timer]; how much (longer|time do i have left|time is remaining);
    how many minutes are left; (what|how many|which) timers (are|do i have) (running|set|on);
    do i have (any timers|a timer running); (check|show) (the|my) (timer|timers);
    when does (the|my) timer (ring|go off|end)
    """,
    also="""
    how (long|much time) [is] (left|remaining) (on|for) [(the|my)] {label} [timer]; [how much] time (left|remaining);
    how much time [do i have]; how long (now|to go|do i have); timer status;
    how (much|many) (time|minutes|seconds|long) [is|are|do i have] (left|remaining|to go) [(on|for) [(the|my)]
    {label}]; (is the|are there any|any|what about (the|my)) (timer|timers) [running|set|still running|still on];
    my timers; what is (left|remaining) on (the|my) timer; is (the|my) timer [still] (on|running);
    how is (the|my) timer
    """,
)
def time_left(turn: Turn, label: str = "") -> Answer:
    if not turn.timers:
        return nothing_running(turn)
    word = label.lower().removesuffix(" timer")
    named = [timer for timer in turn.timers if word and timer[0] == word] or list(turn.timers)
    if len(turn.timers) == 1:
        return Answer(f"{sentence(durations.spoken(named[0][1]))} to go.")
    parts = [f"{durations.spoken(left)} on the {name or 'first'} timer" for name, left in named[:3]]
    more = f", and {len(named) - 3} more timers after that" if len(named) > 3 else ""
    return Answer(f"{sentence(', '.join(parts))}{more}.")


@skill.on(
    "add {duration} to (the|my) timer",
    also="(extend|lengthen) (the|my) timer by {duration}; (add|give me) {duration} more",
)
def lengthen(turn: Turn, duration: float) -> Answer:
    if not turn.timers:
        return nothing_running(turn)
    if len(turn.timers) > 1:
        return Answer(f"I can only lengthen a timer when there is just one. You have {names(turn)}.")
    name, left = turn.timers[0]
    if left + duration > LONGEST_S:
        return Answer("That would be too long for me. I can set timers of up to a day.")
    again = SetTimer(name, left + duration, f"Time's up. Your {name} timer is done.".replace("  ", " "))
    return Answer(f"Okay, now {durations.spoken(left + duration)} to go.", (CancelTimer(name), again))


@skill.on(
    "(pause|hold|freeze) (the|my) timer; (resume|continue) (the|my) timer; restart (the|my) timer",
)
def pause(turn: Turn) -> Answer:
    return (
        Answer("I can't pause a timer. You can cancel it and set a new one.") if turn.timers else nothing_running(turn)
    )


def nothing_running(turn: Turn) -> Answer:
    return Answer(
        "Timers need a voice session, and this is not one." if turn.timers is None else "No timer is running."
    )


def names(turn: Turn) -> str:
    """What the running timers are called, as a list to be said."""
    called = [f"a {name} timer" if name else "a timer" for name, _ in turn.timers or ()]
    return (
        " and ".join(called[:2])
        if len(called) < 3
        else f"{', '.join(called[:3])}{' and others' if len(called) > 3 else ''}"
    )


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
