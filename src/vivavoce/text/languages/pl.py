"""Polish."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, phrases, table


def _plural(number: str) -> int:
    """1; 2-4 but not 12-14; all others; then what follows a fraction."""
    if not number.isdigit():
        return 3
    if number == "1":
        return 0
    return 1 if number[-1] in "234" and number[-2:-1] != "1" else 2


LANGUAGE = Language(
    signs=phrases("""
&: i
@: małpa
#: numer
+: plus
-: minus
=: równa się
<: mniejsze niż
>: większe niż
≤: najwyżej
≥: co najmniej
≠: różne od
≈: około
~: około
±: plus minus
×: razy
x: na
÷: podzielone przez
/: przez
.: kropka
dot: kropka
_: podkreślnik
hyphen: myślnik
or: lub
v: wersja
"""),
    to="do",
    per=phrases("""
h: na godzinę
s: na sekundę
min: na minutę
kg: za kilogram
: na
"""),
    units=table("""
km: kilometr|kilometry|kilometrów|kilometra
m: metr|metry|metrów|metra
cm: centymetr|centymetry|centymetrów|centymetra
mm: milimetr|milimetry|milimetrów|milimetra
kg: kilogram|kilogramy|kilogramów|kilograma
g: gram|gramy|gramów|grama
mg: miligram|miligramy|miligramów|miligrama
t: tona|tony|ton|tony
l L: litr|litry|litrów|litra
ml: mililitr|mililitry|mililitrów|mililitra
°C ℃: stopień Celsjusza|stopnie Celsjusza|stopni Celsjusza|stopnia Celsjusza
°F ℉: stopień Fahrenheita|stopnie Fahrenheita|stopni Fahrenheita|stopnia Fahrenheita
°: stopień|stopnie|stopni|stopnia
%: procent|procent|procent|procent
‰: promil|promile|promili|promila
h godz.: godzina|godziny|godzin|godziny
min: minuta|minuty|minut|minuty
s: sekunda|sekundy|sekund|sekundy
ms: milisekunda|milisekundy|milisekund|milisekundy
Hz: herc|herce|herców|herca
kHz: kiloherc|kiloherce|kiloherców|kiloherca
MHz: megaherc|megaherce|megaherców|megaherca
GHz: gigaherc|gigaherce|gigaherców|gigaherca
W: wat|waty|watów|wata
kW: kilowat|kilowaty|kilowatów|kilowata
kWh: kilowatogodzina|kilowatogodziny|kilowatogodzin|kilowatogodziny
V: wolt|wolty|woltów|wolta
kcal: kilokaloria|kilokalorie|kilokalorii|kilokalorii
hPa: hektopaskal|hektopaskale|hektopaskali|hektopaskala
dB: decybel|decybele|decybeli|decybela
kB KB: kilobajt|kilobajty|kilobajtów|kilobajta
MB: megabajt|megabajty|megabajtów|megabajta
GB: gigabajt|gigabajty|gigabajtów|gigabajta
TB: terabajt|terabajty|terabajtów|terabajta
ha: hektar|hektary|hektarów|hektara
m²: metr kwadratowy|metry kwadratowe|metrów kwadratowych|metra kwadratowego
km²: kilometr kwadratowy|kilometry kwadratowe|kilometrów kwadratowych|kilometra kwadratowego
m³: metr sześcienny|metry sześcienne|metrów sześciennych|metra sześciennego
"""),
    currencies=table("""
zł PLN: złoty|złote|złotych|złotego||grosz|grosze|groszy
€ EUR: euro||cent|centy|centów
$ US$ USD: dolar|dolary|dolarów|dolara||cent|centy|centów
£ GBP: funt|funty|funtów|funta||pens|pensy|pensów
¥ JPY: jen|jeny|jenów|jena
CHF: frank szwajcarski|franki szwajcarskie|franków szwajcarskich|franka szwajcarskiego
"""),
    money="{whole} {unit} {cents} {cent}",
    scales=table("""
tys. tys k: tysiąc|tysiące|tysięcy|tysiąca
mln m M: milion|miliony|milionów|miliona
mld: miliard|miliardy|miliardów|miliarda
"""),
    months=(
        *("stycznia", "lutego", "marca", "kwietnia", "maja", "czerwca", "lipca"),
        *("sierpnia", "września", "października", "listopada", "grudnia"),
    ),
    date=lambda day, month, year, _: f"{day} {month} {year}",
    full_hour="{h} zero zero",
    time="{h} {m}",
    small_minutes="{h} zero {m}",
    fractions=phrases("""
1/2: jedna druga
1/3: jedna trzecia
2/3: dwie trzecie
1/4: jedna czwarta
3/4: trzy czwarte
"""),
    abbreviations=phrases("""
np.: na przykład
itd.: i tak dalej
itp.: i tym podobne
tzn.: to znaczy
tj.: to jest
m.in.: między innymi
dr: doktor
prof.: profesor
ul.: ulica
nr: numer
tys.: tysięcy
godz.: godzina
"""),
    rules=((r"ok\.(?= ?\d)", lambda _: "około"),),
    closing=frozenset({"itd.", "itp."}),
    plural=_plural,
    code="kod",
)
