"""For those who start it with `python app.py` or `uvicorn app:app`; `vivavoce serve` has the options."""

from vivavoce.settings import limit_math_threads

limit_math_threads()  # before anything imports numpy

from vivavoce.app import create_app  # noqa: E402

app = create_app()

if __name__ == "__main__":
    from vivavoce.cli import main

    main(["serve"], prog_name="vivavoce")
