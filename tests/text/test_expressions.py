"""Units, money, dates, times, signs and abbreviations, as they are said in each language."""

from __future__ import annotations

import pytest

from vivavoce.text.languages import CODES, load
from vivavoce.text.languages.en import roman
from vivavoce.text.speakable import speakable, spoken_words

ENGLISH = [
    # units
    ("5 km/h", "5 kilometers an hour"),
    ("1 km and 0.5 km", "1 kilometer and 0.5 kilometers"),
    ("3.5kg, 1 kg.", "3.5 kilograms, 1 kilogram."),
    ("20°C or 68 °F at 90°", "20 degrees Celsius or 68 degrees Fahrenheit at 90 degrees"),
    ("**10** MB, 8 GB/s, 100 Mbps", "10 megabytes, 8 gigabytes a second, 100 megabits per second"),
    ("a 5-km run, 5-10 km", "a 5 kilometer run, 5 to 10 kilometers"),
    ("5'10\" tall", "5 feet 10 tall"),
    ("50%, 5 %, 10-20%", "50 percent, 5 percent, 10 to 20 percent"),
    ("20 m², 5 ft^2, 2 kWh", "20 square meters, 5 square feet, 2 kilowatt hours"),
    ("5 mg/day and 9.8 m/s", "5 milligrams per day and 9.8 meters a second"),
    ("the 1990s, the 90s, a 5G phone, room 5A, 3D", "the 1990s, the 90s, a 5G phone, room 5A, 3D"),
    ("5 m-long", "5 m-long"),
    ("5°C–10°C, 5 kg - 10 kg, 5kg-10lb", "5 to 10 degrees Celsius, 5 to 10 kilograms, 5kg-10lb"),
    ("5 h 30 min", "5 hours 30 minutes"),
    # money
    ("$3.50", "3 dollars and 50 cents"),
    ("$1 and $1.01", "1 dollar and 1 dollar and 1 cent"),
    ("$0.99, $.50", "99 cents, $.50"),
    ("$1,200.50 or $1,200", "1,200 dollars and 50 cents or 1,200 dollars"),
    ("$3.00 and $3.999", "3 dollars and 3.999 dollars"),
    ("€20, 20 €, € 20, 20 EUR, EUR 20", "20 euros, 20 euros, 20 euros, 20 euros, 20 euros"),
    ("£5m, £5bn, $10k, $1.2B", "5 million pounds, 5 billion pounds, 10 thousand dollars, 1.2 billion dollars"),
    ("$5 million, 5 billion €", "5 million dollars, 5 billion euros"),
    ("¥500 and £1.05", "500 yen and 1 pound and 5 pence"),
    ("-$5", "minus 5 dollars"),
    ("$5-10, $5–$10", "5 to 10 dollars, 5 to 10 dollars"),
    ("$10/month, $3.50/kg", "10 dollars per month, 3 dollars and 50 cents per kilogram"),
    ("a$5 HK$5", "a$5 HK$5"),
    # dates and times
    ("2026-11-21", "November 21st, 2026"),
    ("11/21/2026, 21/11/2026, 3/4/2026", "November 21st, 2026, November 21st, 2026, March 4th, 2026"),
    ("21.11.2026.", "November 21st, 2026."),
    ("2026-13-45, 99/99/2026", "2026-13-45, 99/99/2026"),
    ("2026-11-21T14:05:30Z", "November 21st, 2026, 14 hours 5 minutes 30 seconds"),
    ("Nov 21, 2026; 21 Nov. 2026; Sept. 3", "November 21, 2026; 21 November 2026; September 3"),
    ("14:05, 7:30, 9:00", "14 oh 5, 7 30, 9 o'clock"),
    ("3pm, 3 PM, 7:30 a.m. or 9:00 am", "3 p.m., 3 p.m., 7 30 a.m. or 9 a.m."),
    ("10:30-11:30, 9am – 5pm", "10 30 to 11 30, 9 a.m. to 5 p.m."),
    ("9:00 o'clock", "9 o'clock"),
    ("I am 5, Amy", "I am 5, Amy"),
    ("in 1:02:03", "in 1 hour 2 minutes 3 seconds"),
    # ranges, ratios, fractions
    ("10-20, 10–20, 10 – 20, 2019-24", "10 to 20, 10 to 20, 10 to 20, 2019-24"),
    ("747-400, 3-1, COVID-19, 1-2-3", "747-400, 3-1, COVID-19, 1-2-3"),
    ("Mon–Fri, Jan-Mar", "Monday to Friday, January to March"),
    ("16:9, 45:30", "16 to 9, 45 to 30"),
    ("1/2, 3/4, 1 1/2, 2½, ½", "one half, three quarters, 1 and one half, 2 and one half, one half"),
    ("9/11, 24/7, 7/16 = x", "9 over 11, 24 7, 7 over 16 equals x"),
    ("9/11 and 8/10", "9/11 and 8/10"),
    # other numbers
    ("+1 (555) 123-4567", "plus 1, 5 5 5, 1 2 3, 4 5 6 7"),
    ("555-123-4567 or 555-1234.", "5 5 5, 1 2 3, 4 5 6 7 or 5 5 5, 1 2 3 4."),
    ("+44 20 7946 0958, 0800 123 4567", "plus 4 4, 2 0, 7 9 4 6, 0 9 5 8, 0 8 0 0, 1 2 3, 4 5 6 7"),
    ("20 30 40 50", "20 30 40 50"),
    ("v2.0.1, 2.0.1, V3", "version 2 point 0 point 1, 2 point 0 point 1, version 3"),
    ("at 192.168.0.1.", "at 192 point 168 point 0 point 1."),
    ("build 10.0.19045 is out", "build 10.0.19045 is out"),
    ("#1 and issue #5", "number 1 and issue number 5"),
    ("~5, ±3, −5 and -5", "about 5, plus or minus 3, minus 5 and minus 5"),
    ("1920x1080, 3 x 4, 3×4, 3x faster", "1920 by 1080, 3 by 4, 3 times 4, 3 times faster"),
    # signs
    ("R&D, you & me", "R and D, you and me"),
    ("a + b = c, 5+3=8, 10+", "a plus b equals c, 5 plus 3 equals 8, 10 plus"),
    ("5 - 3 = 2, 5 - 3", "5 minus 3 equals 2, 5 minus 3"),
    ("C++, C#, a # b", "C++, C sharp, a b"),
    ("a < b, 5>3, <5, x <y> z", "a less than b, 5 greater than 3, less than 5, x y z"),
    ("≤5, a != b, a <= b, b >= a, ≠", "at most 5, a is not b, a at most b, b at least a, is not"),
    ("x -> y => z", "x y z"),
    ("he/she, TCP/IP, /etc/passwd, src/app.py", "he she, TCP IP, /etc/passwd, src/app.py"),
    ("fish w/ chips w/o salt", "fish with chips without salt"),
    # abbreviations
    ("Dr. Smith, Mrs. Jones", "Doctor Smith, Missus Jones"),
    ("e.g. this, i.e. that, E.g. so", "for example this, that is that, For example so"),
    ("cats, dogs etc.", "cats, dogs et cetera."),
    ("cats etc. Then dogs etc. or so", "cats et cetera. Then dogs et cetera or so"),
    ("5 vs. 6, approx. 7", "5 versus 6, approximately 7"),
    ("No. 5, nos. 3 to 5. No. It is", "number 5, numbers 3 to 5. No. It is"),
    ("In St. Louis, on Main St. by 5th St.", "In Saint Louis, on Main Street by 5th Street."),
    ("St.Gallen xe.g. a.vs.b", "St.Gallen xe.g. a.vs.b"),
    # Roman numerals, where they can be nothing else
    ("World War II, World War I", "World War 2, World War 1"),
    ("Henry VIII, Louis XIV, Chapter IX", "Henry the 8th, Louis the 14th, Chapter 9"),
    ("Charles I think, part II, Malcolm X, I, MIX", "Charles I think, part II, Malcolm X, I, MIX"),
]  # fmt: skip

OTHERS = {
    "en_GB": [("2026-11-21, 3/4/2026", "21st of November 2026, 3rd of April 2026")],
    "de_DE": [
        ("Am 21.11.2026 um 14:05 Uhr, 14:00 Uhr", "Am 21. November 2026 um 14 Uhr 5, 14 Uhr"),
        ("3,5 kg, 1 km, 10-20 km/h", "3,5 Kilogramm, 1 Kilometer, 10 bis 20 Kilometer pro Stunde"),
        ("3,50 €, 1.200,50 €, 5 Mio. €", "3 Euro 50, 1.200 Euro 50, 5 Millionen Euro"),
        ("50 %, -5 °C, A & B", "50 Prozent, minus 5 Grad Celsius, A und B"),
        ("z. B. Dr. Müller, usw. Dann z.B. er.", "zum Beispiel Doktor Müller, und so weiter. Dann zum Beispiel er."),
        ("3 pm, 5'10\" und ⅛", "3 pm, 5'10\" und ⅛"),
    ],
    "fr_FR": [
        ("Le 01/11/2026 à 14h05, 14 h", "Le 1er novembre 2026 à 14 heures 5, 14 heures"),
        ("1,5 km, 2 km, 3,50 €, 1 234,56 €", "1,5 kilomètre, 2 kilomètres, 3 euros 50, 1 234 euros 56"),
        ("5 M€, 5 millions € et 5 millions de $", "5 millions d'euros, 5 millions d'euros et 5 millions de dollars"),
        ("M. Dupont, n° 5, p. ex. 50 %", "monsieur Dupont, numéro 5, par exemple 50 pour cent"),
        ("01 23 45 67 89", "0 1, 2 3, 4 5, 6 7, 8 9"),
    ],
    "es_ES": [
        ("El 21/11/2026 a las 14:05", "El 21 de noviembre de 2026 a las 14 y 5"),
        ("3,50 €, 2 M€, 5 millones de €", "3 euros con 50, 2 millones de euros, 5 millones de euros"),
        ("10 km/h, 50 %, 1 kg, n.º 5", "10 kilómetros por hora, 50 por ciento, 1 kilogramo, número 5"),
        ("ana@ejemplo.es de EE. UU.", "ana arroba ejemplo.es de Estados Unidos."),
    ],
    "it_IT": [
        ("Il 01/11/2026 alle 14:05, 60 km/h", "Il primo novembre 2026 alle 14 e 5, 60 chilometri all'ora"),
        ("3,50 €, 5 mln €, n. 5, ecc.", "3 euro e 50, 5 milioni di euro, numero 5, eccetera."),
    ],
    "pt_BR": [
        ("21/11/2026 às 14h30, 14:00", "21 de novembro de 2026 às 14 e 30, 14 horas"),
        ("R$ 3,50, R$ 5 milhões, 1,5 km", "3 reais e 50 centavos, 5 milhões de reais, 1,5 quilômetro"),
    ],
    "nl_NL": [
        ("21-11-2026 om 14:05 uur, 14:00 uur", "21 november 2026 om 14 uur 5, 14 uur"),
        ("€ 3,50, 5 km/u, bijv. 20 °C", "3 euro 50, 5 kilometer per uur, bijvoorbeeld 20 graden Celsius"),
    ],
    "pl_PL": [
        ("21.11.2026 o 14:05 i 14:00", "21 listopada 2026 o 14 zero 5 i 14 zero zero"),
        ("1 zł, 3 zł, 5 zł, 12 zł, 22 zł", "1 złoty, 3 złote, 5 złotych, 12 złotych, 22 złote"),
        ("3,50 zł, 1 200 zł, 5 mln zł", "3 złote 50 groszy, 1 200 złotych, 5 milionów złotych"),
        ("2,5 kg, 5 km/h, np. 50%, ok. 3", "2,5 kilograma, 5 kilometrów na godzinę, na przykład 50 procent, około 3"),
    ],
}  # fmt: skip
ALL = [("en_US", *case) for case in ENGLISH] + [(tag, *case) for tag, cases in OTHERS.items() for case in cases]


@pytest.mark.parametrize(("language", "text", "said"), ALL)
def test_what_is_said(language: str, text: str, said: str) -> None:
    assert speakable(text, language) == said
    assert len(spoken_words(text, language)) == len(text.split())


STABLE = [case for case in ALL if not any(odd in case[2] for odd in ("p.m.", "a.m.", "C++", "xe.g.", "747", "z. B."))]


@pytest.mark.parametrize(("language", "_", "said"), STABLE)
def test_what_is_said_is_said_as_it_is(language: str, _: str, said: str) -> None:
    assert speakable(said, language) == said


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_tables_of_a_language_are_whole(code: str) -> None:
    language, english = load(code), load("en")
    needed = set(english.signs) - {"w/", "w/o", "sharp"}
    assert needed <= set(language.signs)
    assert len(language.months) == len(set(language.months)) == 12
    assert {"km", "kg", "%", "°C", "h", "min", "s", "l", "MB"} <= set(language.units)
    assert {"€", "$", "£", "¥"} <= set(language.currencies)
    assert {"1/2", "1/3", "2/3", "1/4", "3/4"} <= set(language.fractions)
    assert {"h", "s", "min", ""} <= set(language.per)
    for forms in (*language.units.values(), *language.scales.values()):
        assert all(form and form == form.strip() for form in forms)
    for key, full in language.abbreviations.items():
        assert full
        assert key == key.strip() != ""
    assert language.closing <= set(language.abbreviations)
    assert language.plural("1") == 0
    for number in ("0", "1", "2", "5", "12", "22", "112", "1,5", "3.25"):
        assert 0 <= language.plural(number) < 4


def test_roman_numerals() -> None:
    assert [roman(numeral) for numeral in ("I", "IV", "VIII", "IX", "XIV", "XXXIX")] == [1, 4, 8, 9, 14, 39]
