"""English."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from vivavoce.text.languages.base import Language, phrases, table


def ordinal(number: int) -> str:
    suffix = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _date(day: int, month: str, year: int, american: bool) -> str:
    return f"{month} {ordinal(day)}, {year}" if american else f"{ordinal(day)} of {month} {year}"


_DAYS = {day[:3]: day for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_SHORT_MONTHS = {month[:3]: month for month in _MONTHS} | {"Sept": "September"}
_DAY = "|".join(_DAYS)
_MONTH = "|".join([*_SHORT_MONTHS][::-1])
_SMALL = r"(?=[IVX])X{0,3}(?:IX|IV|V?I{0,3})"
_COUNTED = (
    "Chapter|Part|Act|Volume|Phase|Type|Section|Book|Level|Title|Article|Stage|Episode|Appendix|Bowl|Vatican|Apollo"
)
_CROWNED = (
    "Albert|Alexander|Benedict|Catherine|Charles|Christian|Clement|Constantine|Edward|Elizabeth|Francis|Frederick"
    "|George|Gregory|Henry|James|John|Leo|Leopold|Louis|Mary|Napoleon|Nicholas|Paul|Peter|Philip|Pius|Ramses|Richard"
    "|Urban|Victor|Wilhelm|William"
)
_NOT_STREETS = frozenset(
    {"At", "And", "By", "For", "From", "In", "Near", "Of", "On", "See", "The", "To", "Visit", "Is", "Was"}
)


def roman(numeral: str) -> int:
    """The value of a Roman *numeral* below 40."""
    return sum(
        -value if value < following else value
        for value, following in pairwise([*({"I": 1, "V": 5, "X": 10}[sign] for sign in numeral), 0])
    )


_RULES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (rf"({_DAY})\.?[–-]({_DAY})\b\.?", lambda match: f"{_DAYS[match[1]]} to {_DAYS[match[2]]}"),
    (rf"({_MONTH})\.?[–-]({_MONTH})\b\.?", lambda match: f"{_SHORT_MONTHS[match[1]]} to {_SHORT_MONTHS[match[2]]}"),
    (rf"({_MONTH})\.?(?= \d)", lambda match: _SHORT_MONTHS[match[1]]),
    (r"(World War) (I{1,3})(?!\w)", lambda match: f"{match[1]} {roman(match[2])}"),
    (rf"({_COUNTED}) ({_SMALL})(?<! I)(?!\w)", lambda match: f"{match[1]} {roman(match[2])}"),
    (rf"({_CROWNED}) ({_SMALL})(?<! I)(?!\w)", lambda match: f"{match[1]} the {ordinal(roman(match[2]))}"),
    (r"([A-Z\d][a-z\d]{1,30}) St(?:\.|(?!\w))",
     lambda match: match[0] if match[1] in _NOT_STREETS else f"{match[1]} Street"),
    (r"St\.(?= [A-Z])", lambda _: "Saint"),
    (r"[Nn]os?\.(?= ?\d)", lambda match: "numbers" if "s" in match[0] else "number"),
)  # fmt: skip

LANGUAGE = Language(
    signs=phrases("""
&: and
@: at
#: number
+: plus
-: minus
=: equals
<: less than
>: greater than
≤: at most
≥: at least
≠: is not
≈: about
~: about
±: plus or minus
×: times
x: by
÷: divided by
/: over
.: point
dot: dot
_: underscore
hyphen: dash
or: or
v: version
w/: with
w/o: without
sharp: sharp
"""),
    to="to",
    per=phrases("""
h;hr: an hour
s;sec: a second
min: a minute
: per
"""),
    units=table("""
km Km KM: kilometer|kilometers
m: meter|meters
cm: centimeter|centimeters
mm: millimeter|millimeters
µm μm: micrometer|micrometers
nm: nanometer|nanometers
mi: mile|miles
ft: foot|feet
yd: yard|yards
kg Kg KG: kilogram|kilograms
g: gram|grams
mg: milligram|milligrams
µg μg: microgram|micrograms
t: tonne|tonnes
lb lbs: pound|pounds
oz: ounce|ounces
l L: liter|liters
dl dL: deciliter|deciliters
cl cL: centiliter|centiliters
ml mL: milliliter|milliliters
gal: gallon|gallons
tsp: teaspoon|teaspoons
tbsp: tablespoon|tablespoons
°C ℃ ºC: degree Celsius|degrees Celsius
°F ℉ ºF: degree Fahrenheit|degrees Fahrenheit
°: degree|degrees
%: percent
‰: per mille
h hr hrs: hour|hours
min mins: minute|minutes
s sec secs: second|seconds
ms: millisecond|milliseconds
µs μs: microsecond|microseconds
Hz: hertz
kHz: kilohertz
MHz: megahertz
GHz: gigahertz
W: watt|watts
kW: kilowatt|kilowatts
MW: megawatt|megawatts
GW: gigawatt|gigawatts
Wh: watt hour|watt hours
kWh: kilowatt hour|kilowatt hours
MWh: megawatt hour|megawatt hours
V: volt|volts
mA: milliamp|milliamps
mAh: milliamp hour|milliamp hours
J: joule|joules
kJ: kilojoule|kilojoules
kcal: kilocalorie|kilocalories
cal: calorie|calories
Pa: pascal|pascals
hPa: hectopascal|hectopascals
bar: bar|bars
psi: psi
dB: decibel|decibels
kB KB: kilobyte|kilobytes
MB: megabyte|megabytes
GB: gigabyte|gigabytes
TB: terabyte|terabytes
Mbit Mb: megabit|megabits
Gbit Gb: gigabit|gigabits
kbit: kilobit|kilobits
kbps: kilobit per second|kilobits per second
Mbps: megabit per second|megabits per second
Gbps: gigabit per second|gigabits per second
px: pixel|pixels
fps: frame per second|frames per second
rpm: revolution per minute|revolutions per minute
mph: mile an hour|miles an hour
kph kmh: kilometer an hour|kilometers an hour
ha: hectare|hectares
m² m^2: square meter|square meters
km² km^2: square kilometer|square kilometers
cm² cm^2: square centimeter|square centimeters
ft² ft^2: square foot|square feet
m³ m^3: cubic meter|cubic meters
cm³ cm^3: cubic centimeter|cubic centimeters
"""),
    currencies=table("""
$ US$ USD: dollar|dollars||cent|cents
A$ AU$ AUD: Australian dollar|Australian dollars||cent|cents
C$ CA$ CAD: Canadian dollar|Canadian dollars||cent|cents
€ EUR: euro|euros||cent|cents
£ GBP: pound|pounds||penny|pence
¥ JPY: yen
CNY RMB: yuan
₹ INR: rupee|rupees||paisa|paise
₽ RUB: ruble|rubles||kopeck|kopecks
₩ KRW: won
CHF: Swiss franc|Swiss francs||centime|centimes
PLN zł: zloty|zlotys||grosz|groszy
kr SEK NOK DKK: krone|kroner||øre|øre
R$ BRL: real|reais||centavo|centavos
¢: cent|cents
₿ BTC: bitcoin|bitcoins
"""),
    money="{whole} {unit} and {cents} {cent}",
    scales=table("""
k K: thousand
m M mn mln mil: million
b B bn: billion
t T tn trn: trillion
"""),
    months=_MONTHS,
    half_days=True,
    rules=_RULES,
    date=_date,
    full_hour="{h} o'clock",
    time="{h} {m}",
    small_minutes="{h} oh {m}",
    clock=r"o'clock",
    fractions=phrases("""
1/2: one half
1/3: one third
2/3: two thirds
1/4: one quarter
3/4: three quarters
1/5: one fifth
2/5: two fifths
3/5: three fifths
4/5: four fifths
1/8: one eighth
3/8: three eighths
5/8: five eighths
7/8: seven eighths
1/10: one tenth
24/7: 24 7
"""),
    abbreviations=phrases("""
Dr.: Doctor
Mr.: Mister
Mrs.: Missus
Ms.: Miz
Prof.: Professor
Gen.: General
Sgt.: Sergeant
Capt.: Captain
Jr.: Junior
Sr.: Senior
e.g.;eg.: for example
i.e.: that is
etc.: et cetera
approx.: approximately
vs.;vs: versus
cf.: compare
dept.;Dept.: department
est.: estimated
incl.: including
excl.: excluding
Ave.: Avenue
Blvd.: Boulevard
Rd.: Road
Mt.: Mount
Inc.: Incorporated
Ltd.: Limited
Corp.: Corporation
a.k.a.: also known as
ASAP: as soon as possible
"""),
    closing=frozenset({"etc.", "Jr.", "Sr.", "Ave.", "Blvd.", "Rd.", "Inc.", "Ltd.", "Corp."}),
    code="code",
)
