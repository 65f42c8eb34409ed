"""A worker for the tests: does what it is told, good or bad."""

import sys
import time

from vivavoce.engines.child import Line


def start(line: Line) -> None:
    match sys.argv[1:]:
        case ["refuse"]:
            line.refuse("no model", "get one")
        case ["crash"]:
            raise RuntimeError("the library is broken")
        case ["mute"]:
            time.sleep(600)
        case ["stranger"]:
            line.send("hello")
        case options:
            line.ready("echo", options)


def work(line: Line) -> None:
    def job(message: list) -> None:
        match message:
            case ["echo", *payload]:
                line.send("echo", *payload)
            case ["sum"]:  # of the numbers that follow, until `end`
                total = 0
                while (following := line.receive())[0] != "end":
                    total += following[1]
                line.send("sum", total)
            case ["count"]:  # for ever, but it looks up between the numbers
                number = 0
                while True:
                    line.check()
                    line.send("count", number, bytes(1000))
                    number += 1
            case ["hang"]:
                line.send("hanging")
                time.sleep(600)
            case ["raise", text]:
                print("a library's chatter")
                raise RuntimeError(text)

    line.serve(job)


if __name__ == "__main__":
    parent = Line()
    start(parent)
    work(parent)
