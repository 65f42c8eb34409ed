"""French."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, below_two, phrases, table


def _of(name: str) -> str:
    return f"d'{name}" if name[:1].lower() in "aeiouyhé" else f"de {name}"


LANGUAGE = Language(
    signs=phrases("""
&: et
@: arobase
#: numéro
+: plus
-: moins
=: égale
<: inférieur à
>: supérieur à
≤: au plus
≥: au moins
≠: différent de
≈: environ
~: environ
±: plus ou moins
×: fois
x: par
÷: divisé par
/: sur
.: point
dot: point
_: tiret bas
hyphen: tiret
or: ou
v: version
"""),
    to="à",
    per=phrases("""
h: à l'heure
s: par seconde
min: par minute
kg: le kilo
: par
"""),
    units=table("""
km: kilomètre|kilomètres
m: mètre|mètres
cm: centimètre|centimètres
mm: millimètre|millimètres
kg: kilogramme|kilogrammes
g: gramme|grammes
mg: milligramme|milligrammes
t: tonne|tonnes
l L: litre|litres
dl: décilitre|décilitres
cl: centilitre|centilitres
ml: millilitre|millilitres
°C ℃: degré Celsius|degrés Celsius
°F ℉: degré Fahrenheit|degrés Fahrenheit
°: degré|degrés
%: pour cent
‰: pour mille
h: heure|heures
min: minute|minutes
s: seconde|secondes
ms: milliseconde|millisecondes
Hz: hertz
kHz: kilohertz
MHz: mégahertz
GHz: gigahertz
W: watt|watts
kW: kilowatt|kilowatts
kWh: kilowattheure|kilowattheures
V: volt|volts
kcal: kilocalorie|kilocalories
hPa: hectopascal|hectopascals
dB: décibel|décibels
Ko ko kB KB: kilooctet|kilooctets
Mo MB: mégaoctet|mégaoctets
Go GB: gigaoctet|gigaoctets
To TB: téraoctet|téraoctets
ha: hectare|hectares
m²: mètre carré|mètres carrés
km²: kilomètre carré|kilomètres carrés
m³: mètre cube|mètres cubes
mph: mile à l'heure|miles à l'heure
"""),
    currencies=table("""
€ EUR: euro|euros||centime|centimes
$ US$ USD: dollar|dollars||cent|cents
£ GBP: livre|livres||penny|pence
¥ JPY: yen|yens
CHF: franc suisse|francs suisses||centime|centimes
PLN zł: zloty|zlotys||grosz|groszy
"""),
    money="{whole} {unit} {cents}",
    of=_of,
    scales=table("""
k K: mille
m M: million|millions
Md Mds: milliard|milliards
"""),
    months=(
        *("janvier", "février", "mars", "avril", "mai", "juin", "juillet"),
        *("août", "septembre", "octobre", "novembre", "décembre"),
    ),
    date=lambda day, month, year, _: f"{'1er' if day == 1 else day} {month} {year}",
    full_hour="{h} heures",
    time="{h} heures {m}",
    small_minutes="",
    hour_sign=":hH",
    fractions=phrases("""
1/2: un demi
1/3: un tiers
2/3: deux tiers
1/4: un quart
3/4: trois quarts
"""),
    abbreviations=phrases("""
Mme: madame
Mmes: mesdames
Mlle: mademoiselle
Dr: docteur
Pr: professeur
etc.: et cetera
p. ex.;p.ex.: par exemple
c.-à-d.: c'est-à-dire
env.: environ
n°;N°: numéro
av.: avenue
bd;bd.: boulevard
St: Saint
"""),
    rules=(
        (r"M\.(?= [A-ZÀ-Ý])", lambda _: "monsieur"),
        (r"MM\.(?= [A-ZÀ-Ý])", lambda _: "messieurs"),
        (r"[Nn]o\.(?= ?\d)", lambda _: "numéro"),
    ),
    closing=frozenset({"etc.", "av.", "bd."}),
    plural=below_two,
    code="code",
)
