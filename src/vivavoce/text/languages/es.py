"""Spanish."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, phrases, table

LANGUAGE = Language(
    signs=phrases("""
&: y
@: arroba
#: número
+: más
-: menos
=: igual a
<: menor que
>: mayor que
≤: como máximo
≥: como mínimo
≠: distinto de
≈: aproximadamente
~: aproximadamente
±: más menos
×: por
x: por
÷: entre
/: sobre
.: punto
dot: punto
_: guion bajo
hyphen: guion
or: o
v: versión
"""),
    to="a",
    per=phrases("""
h: por hora
s: por segundo
min: por minuto
kg: el kilo
: por
"""),
    units=table("""
km: kilómetro|kilómetros
m: metro|metros
cm: centímetro|centímetros
mm: milímetro|milímetros
kg: kilogramo|kilogramos
g: gramo|gramos
mg: miligramo|miligramos
t: tonelada|toneladas
l L: litro|litros
dl: decilitro|decilitros
cl: centilitro|centilitros
ml: mililitro|mililitros
°C ºC ℃: grado Celsius|grados Celsius
°F ºF ℉: grado Fahrenheit|grados Fahrenheit
°: grado|grados
%: por ciento
‰: por mil
h: hora|horas
min: minuto|minutos
s: segundo|segundos
ms: milisegundo|milisegundos
Hz: hercio|hercios
kHz: kilohercio|kilohercios
MHz: megahercio|megahercios
GHz: gigahercio|gigahercios
W: vatio|vatios
kW: kilovatio|kilovatios
kWh: kilovatio hora|kilovatios hora
V: voltio|voltios
kcal: kilocaloría|kilocalorías
hPa: hectopascal|hectopascales
dB: decibelio|decibelios
kB KB: kilobyte|kilobytes
MB: megabyte|megabytes
GB: gigabyte|gigabytes
TB: terabyte|terabytes
ha: hectárea|hectáreas
m²: metro cuadrado|metros cuadrados
km²: kilómetro cuadrado|kilómetros cuadrados
m³: metro cúbico|metros cúbicos
mph: milla por hora|millas por hora
"""),
    currencies=table("""
€ EUR: euro|euros||céntimo|céntimos
$ US$ USD: dólar|dólares||centavo|centavos
£ GBP: libra|libras||penique|peniques
¥ JPY: yen|yenes
CHF: franco suizo|francos suizos||céntimo|céntimos
MXN: peso|pesos||centavo|centavos
PLN zł: esloti|eslotis||grosz|groszy
"""),
    money="{whole} {unit} con {cents}",
    of=lambda name: f"de {name}",
    scales=table("""
k K: mil
m M: millón|millones
"""),
    months=(
        *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio"),
        *("agosto", "septiembre", "octubre", "noviembre", "diciembre"),
    ),
    date=lambda day, month, year, _: f"{day} de {month} de {year}",
    full_hour="{h} en punto",
    time="{h} y {m}",
    small_minutes="",
    clock=r"h|horas",
    fractions=phrases("""
1/2: un medio
1/3: un tercio
2/3: dos tercios
1/4: un cuarto
3/4: tres cuartos
"""),
    abbreviations=phrases("""
Sr.: señor
Sra.: señora
Srta.: señorita
Dr.: doctor
Dra.: doctora
Ud.: usted
Uds.: ustedes
etc.: etcétera
p. ej.;p.ej.: por ejemplo
EE. UU.;EE.UU.: Estados Unidos
n.º;N.º;nº;núm.: número
aprox.: aproximadamente
pág.: página
Avda.: avenida
"""),
    closing=frozenset({"etc.", "EE. UU.", "EE.UU."}),
    code="código",
)
