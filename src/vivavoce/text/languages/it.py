"""Italian."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, phrases, table

LANGUAGE = Language(
    signs=phrases("""
&: e
@: chiocciola
#: numero
+: più
-: meno
=: uguale a
<: minore di
>: maggiore di
≤: al massimo
≥: almeno
≠: diverso da
≈: circa
~: circa
±: più o meno
×: per
x: per
÷: diviso
/: su
.: punto
dot: punto
_: trattino basso
hyphen: trattino
or: o
v: versione
"""),
    to="a",
    per=phrases("""
h: all'ora
s: al secondo
min: al minuto
kg: al chilo
: a
"""),
    units=table("""
km: chilometro|chilometri
m: metro|metri
cm: centimetro|centimetri
mm: millimetro|millimetri
kg: chilogrammo|chilogrammi
g: grammo|grammi
mg: milligrammo|milligrammi
t: tonnellata|tonnellate
l L: litro|litri
dl: decilitro|decilitri
cl: centilitro|centilitri
ml: millilitro|millilitri
°C ºC ℃: grado Celsius|gradi Celsius
°F ºF ℉: grado Fahrenheit|gradi Fahrenheit
°: grado|gradi
%: per cento
‰: per mille
h: ora|ore
min: minuto|minuti
s: secondo|secondi
ms: millisecondo|millisecondi
Hz: hertz
kHz: chilohertz
MHz: megahertz
GHz: gigahertz
W: watt
kW: chilowatt
kWh: chilowattora
V: volt
kcal: chilocaloria|chilocalorie
hPa: ettopascal
dB: decibel
kB KB: kilobyte
MB: megabyte
GB: gigabyte
TB: terabyte
ha: ettaro|ettari
m²: metro quadrato|metri quadrati
km²: chilometro quadrato|chilometri quadrati
m³: metro cubo|metri cubi
mph: miglio all'ora|miglia all'ora
"""),
    currencies=table("""
€ EUR: euro||centesimo|centesimi
$ US$ USD: dollaro|dollari||centesimo|centesimi
£ GBP: sterlina|sterline||penny|pence
¥ JPY: yen
CHF: franco svizzero|franchi svizzeri||centesimo|centesimi
PLN zł: zloty||grosz|groszy
"""),
    money="{whole} {unit} e {cents}",
    of=lambda name: f"di {name}",
    scales=table("""
k K: mila
m M mln: milione|milioni
mld: miliardo|miliardi
"""),
    months=(
        *("gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio"),
        *("agosto", "settembre", "ottobre", "novembre", "dicembre"),
    ),
    date=lambda day, month, year, _: f"{'primo' if day == 1 else day} {month} {year}",
    full_hour="{h}",
    time="{h} e {m}",
    small_minutes="",
    fractions=phrases("""
1/2: un mezzo
1/3: un terzo
2/3: due terzi
1/4: un quarto
3/4: tre quarti
"""),
    abbreviations=phrases("""
sig.;Sig.: signor
sig.ra;Sig.ra: signora
dott.;Dott.: dottor
dott.ssa;Dott.ssa: dottoressa
prof.;Prof.: professor
ing.;Ing.: ingegner
ecc.: eccetera
ad es.: ad esempio
p. es.;p.es.: per esempio
ca.: circa
nr.: numero
pag.: pagina
"""),
    rules=((r"n\.(?= ?\d)", lambda _: "numero"),),
    closing=frozenset({"ecc."}),
    code="codice",
)
