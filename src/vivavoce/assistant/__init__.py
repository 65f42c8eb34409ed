"""The offline assistant: pure skills that turn what was said into an answer and its effects.

`respond(turn)` is the whole of it; `sentences()` is everything it expects to hear. Nothing here awaits, reads a clock
or the environment, or keeps state: what it knows of the user is read from the conversation each time. The only files
read are those of the time zone database.
"""
