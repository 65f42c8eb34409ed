"""One file per skill; `vivavoce.assistant.respond` puts them in order."""
