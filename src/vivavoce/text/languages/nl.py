"""Dutch."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, phrases, table

LANGUAGE = Language(
    signs=phrases("""
&: en
@: apenstaartje
#: nummer
+: plus
-: min
=: is gelijk aan
<: kleiner dan
>: groter dan
≤: hoogstens
≥: minstens
≠: is niet
≈: ongeveer
~: ongeveer
±: ongeveer
×: keer
x: bij
÷: gedeeld door
/: gedeeld door
.: punt
dot: punt
_: liggend streepje
hyphen: streepje
or: of
v: versie
"""),
    to="tot",
    per=phrases("""
h: per uur
s: per seconde
min: per minuut
: per
"""),
    units=table("""
km: kilometer
m: meter
cm: centimeter
mm: millimeter
kg: kilogram
g: gram
mg: milligram
t: ton
l L: liter
dl: deciliter
cl: centiliter
ml: milliliter
°C ℃: graad Celsius|graden Celsius
°F ℉: graad Fahrenheit|graden Fahrenheit
°: graad|graden
%: procent
‰: promille
h: uur
u: uur
min: minuut|minuten
s: seconde|seconden
ms: milliseconde|milliseconden
Hz: hertz
kHz: kilohertz
MHz: megahertz
GHz: gigahertz
W: watt
kW: kilowatt
kWh: kilowattuur
V: volt
kcal: kilocalorie|kilocalorieën
hPa: hectopascal
dB: decibel
kB KB: kilobyte
MB: megabyte
GB: gigabyte
TB: terabyte
ha: hectare
m²: vierkante meter
km²: vierkante kilometer
m³: kubieke meter
mph: mijl per uur
"""),
    currencies=table("""
€ EUR: euro||cent
$ US$ USD: dollar||cent
£ GBP: pond||pence
¥ JPY: yen
CHF: Zwitserse frank
PLN zł: zloty
"""),
    money="{whole} {unit} {cents}",
    scales=table("""
k K: duizend
m M mln mln.: miljoen
mld mld.: miljard
"""),
    months=(
        *("januari", "februari", "maart", "april", "mei", "juni", "juli"),
        *("augustus", "september", "oktober", "november", "december"),
    ),
    date=lambda day, month, year, _: f"{day} {month} {year}",
    full_hour="{h} uur",
    time="{h} uur {m}",
    small_minutes="",
    clock="uur",
    fractions=phrases("""
1/2: een half
1/3: een derde
2/3: twee derde
1/4: een kwart
3/4: drie kwart
"""),
    abbreviations=phrases("""
bijv.;bv.: bijvoorbeeld
d.w.z.: dat wil zeggen
o.a.: onder andere
enz.: enzovoort
etc.: et cetera
dhr.: de heer
mevr.: mevrouw
dr.: dokter
prof.: professor
ca.: circa
ong.: ongeveer
nr.: nummer
t/m: tot en met
a.u.b.: alstublieft
mln.: miljoen
mld.: miljard
"""),
    closing=frozenset({"enz.", "etc.", "a.u.b."}),
    code="code",
)
