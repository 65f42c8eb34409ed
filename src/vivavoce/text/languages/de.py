"""German."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, phrases, table

LANGUAGE = Language(
    signs=phrases("""
&: und
@: at
#: Nummer
+: plus
-: minus
=: gleich
<: kleiner als
>: größer als
≤: höchstens
≥: mindestens
≠: ungleich
≈: ungefähr
~: ungefähr
±: plus minus
×: mal
x: mal
÷: geteilt durch
/: durch
.: Punkt
dot: Punkt
_: Unterstrich
hyphen: Bindestrich
or: oder
v: Version
"""),
    to="bis",
    per=phrases("""
h: pro Stunde
s: pro Sekunde
min: pro Minute
kg: pro Kilo
: pro
"""),
    units=table("""
km: Kilometer
m: Meter
cm: Zentimeter
mm: Millimeter
kg: Kilogramm
g: Gramm
mg: Milligramm
t: Tonne|Tonnen
l L: Liter
dl: Deziliter
cl: Zentiliter
ml: Milliliter
°C ℃: Grad Celsius
°F ℉: Grad Fahrenheit
°: Grad
%: Prozent
‰: Promille
h Std.: Stunde|Stunden
min Min.: Minute|Minuten
s Sek.: Sekunde|Sekunden
ms: Millisekunde|Millisekunden
Hz: Hertz
kHz: Kilohertz
MHz: Megahertz
GHz: Gigahertz
W: Watt
kW: Kilowatt
MW: Megawatt
kWh: Kilowattstunde|Kilowattstunden
V: Volt
PS: PS
kcal: Kilokalorie|Kilokalorien
hPa: Hektopascal
dB: Dezibel
kB KB: Kilobyte
MB: Megabyte
GB: Gigabyte
TB: Terabyte
Mbit: Megabit
Gbit: Gigabit
ha: Hektar
m²: Quadratmeter
km²: Quadratkilometer
cm²: Quadratzentimeter
m³: Kubikmeter
mph: Meile pro Stunde|Meilen pro Stunde
"""),
    currencies=table("""
€ EUR: Euro||Cent
$ US$ USD: Dollar||Cent
£ GBP: Pfund||Pence
¥ JPY: Yen
CHF Fr.: Franken||Rappen
PLN zł: Złoty||Groszy
kr: Kronen
"""),
    money="{whole} {unit} {cents}",
    scales=table("""
Tsd. k: tausend
Mio. Mio m M: Million|Millionen
Mrd. Mrd: Milliarde|Milliarden
"""),
    months=(
        *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli"),
        *("August", "September", "Oktober", "November", "Dezember"),
    ),
    date=lambda day, month, year, _: f"{day}. {month} {year}",
    full_hour="{h} Uhr",
    time="{h} Uhr {m}",
    small_minutes="",
    clock="Uhr",
    fractions=phrases("""
1/2: ein halb
1/3: ein Drittel
2/3: zwei Drittel
1/4: ein Viertel
3/4: drei Viertel
"""),
    abbreviations=phrases("""
z. B.;z.B.;zB: zum Beispiel
Z. B.;Z.B.: Zum Beispiel
d. h.;d.h.: das heißt
u. a.;u.a.: unter anderem
i. d. R.;i.d.R.: in der Regel
usw.: und so weiter
bzw.: beziehungsweise
ca.: circa
ggf.: gegebenenfalls
evtl.: eventuell
inkl.: inklusive
zzgl.: zuzüglich
max.: maximal
min.: mindestens
Nr.: Nummer
Dr.: Doktor
Prof.: Professor
Hr.: Herr
Fr.: Frau
Str.: Straße
St.: Sankt
vgl.: vergleiche
etc.: et cetera
Mio.: Millionen
Mrd.: Milliarden
Tsd.: tausend
"""),
    closing=frozenset({"usw.", "etc.", "Str."}),
    code="Code",
)
