"""What is read out of a text that was written to be seen."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.text.speakable import speakable, spoken_words

CASES = [
    # plain text stays
    ("Hello, how are you?", "Hello, how are you?"),
    ("Dr. Smith's 3.14 is 20 °C, and it costs $5 & 10 %.", "Dr. Smith's 3.14 is 20 °C, and it costs $5 & 10 %."),
    ("a > b, -5, a - b, and/or", "a > b, -5, a - b, and/or"),
    ("你好,你好吗", "你好,你好吗"),
    ("می‌خواهم", "می‌خواهم"),  # a zero-width non-joiner belongs to the word
    ("  two \n lines\t", "two lines"),
    # Markdown
    ("**Hello**, _world_!", "Hello, world!"),
    ("# Title", "Title"),
    ("## C# and C++ are *fine*", "C# and C++ are fine"),
    ("Use `print()` or ~~echo~~.", "Use print() or echo."),
    ("```python x ```", "python x"),
    ("- item one", "item one"),
    ("* **item** two", "item two"),
    ("> said - or not", "said - or not"),
    ("snake_case __init__", "snake case init"),
    ("| a | b |", "a b"),
    ("|a|b|", "a b"),
    ("|---|:--:|", ""),
    ("Title ===", "Title"),
    ("[docs](https://x.org/a) here", "docs here"),
    ("[click here](https://x.org/a).", "click here."),
    ("![A cat](cat.png)", "A cat"),
    ("as shown [1], issue #5 #tag", "as shown 1, issue 5 tag"),
    (r"\*not bold\*", "not bold"),
    # products are said, other asterisks are not
    ("3 * 4 = 12", "3 × 4 = 12"),
    ("2*3", "2×3"),
    ("3 * x", "3 x"),
    ("* * *", ""),
    # addresses
    ("see https://www.example.com/a?b=1.", "see example.com."),
    ("(HTTP://example.com/x)", "(example.com)"),
    ("https://example.com.", "example.com."),
    ("www.example.com, ok", "example.com, ok"),
    ("http://", "http://"),
    ("write to bob@example.com", "write to bob@example.com"),
    # tags, emoji, what cannot be seen or encoded
    ("<speak>hi<break/></speak>", "hi"),
    ("a <b>bold</b> word, a < b", "a bold word, a < b"),
    ("😀 smile 👨‍👩‍👧 1️⃣ ok ✅ → 🇫🇷", "smile 1 ok"),
    ("x\x00y\x07 a\u200bb \ud83d", "xy ab"),
    # nothing to say
    ("", ""),
    (" \n ", ""),
    ("… ?! —", ""),
    ("🙂", ""),
]


@pytest.mark.parametrize(("text", "said"), CASES)
def test_what_is_said(text, said):
    assert speakable(text) == said


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_there_is_one_entry_for_each_word(text):
    assert len(spoken_words(text)) == len(text.split())


def test_words_that_are_not_said_are_empty():
    assert spoken_words("- see **this** 😀 at https://a.org/b") == ["", "see", "this", "", "at", "a.org"]
    assert spoken_words("snake_case 3 * 4") == ["snake case", "3", "×", "4"]


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("*_`#[]()!|<>/:.-1a \ud800\u200d😀"))))
def test_any_text_can_be_handed_on(text):
    said = speakable(text)
    said.encode()
    assert all(unicodedata.category(character) != "Cc" for character in said)
    assert said == " ".join(said.split())
    assert said == "" or any(map(str.isalnum, said))
    assert not set("`[]{}\\😀").intersection(said)
    assert len(spoken_words(text)) == len(text.split())


@pytest.mark.timeout(10)
@pytest.mark.parametrize("part", ["[", "](", "<a", "http://", "_", "#", "* ", "1*", "-", "www.", "😀"])
def test_a_hostile_text_takes_no_time_to_speak_of(part):
    text = part * (20_000 // len(part))
    assert len(spoken_words(text)) == len(text.split())
