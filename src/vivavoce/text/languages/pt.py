"""Portuguese."""

from __future__ import annotations

from vivavoce.text.languages.base import Language, below_two, phrases, table

LANGUAGE = Language(
    signs=phrases("""
&: e
@: arroba
#: número
+: mais
-: menos
=: igual a
<: menor que
>: maior que
≤: no máximo
≥: pelo menos
≠: diferente de
≈: cerca de
~: cerca de
±: mais ou menos
×: vezes
x: por
÷: dividido por
/: sobre
.: ponto
dot: ponto
_: sublinhado
hyphen: hífen
or: ou
v: versão
"""),
    to="a",
    per=phrases("""
h: por hora
s: por segundo
min: por minuto
kg: o quilo
: por
"""),
    units=table("""
km: quilômetro|quilômetros
m: metro|metros
cm: centímetro|centímetros
mm: milímetro|milímetros
kg: quilo|quilos
g: grama|gramas
mg: miligrama|miligramas
t: tonelada|toneladas
l L: litro|litros
dl: decilitro|decilitros
cl: centilitro|centilitros
ml: mililitro|mililitros
°C ºC ℃: grau Celsius|graus Celsius
°F ºF ℉: grau Fahrenheit|graus Fahrenheit
°: grau|graus
%: por cento
‰: por mil
h: hora|horas
min: minuto|minutos
s: segundo|segundos
ms: milissegundo|milissegundos
Hz: hertz
kHz: quilohertz
MHz: megahertz
GHz: gigahertz
W: watt|watts
kW: quilowatt|quilowatts
kWh: quilowatt-hora|quilowatts-hora
V: volt|volts
kcal: quilocaloria|quilocalorias
hPa: hectopascal|hectopascais
dB: decibel|decibéis
kB KB: kilobyte|kilobytes
MB: megabyte|megabytes
GB: gigabyte|gigabytes
TB: terabyte|terabytes
ha: hectare|hectares
m²: metro quadrado|metros quadrados
km²: quilômetro quadrado|quilômetros quadrados
m³: metro cúbico|metros cúbicos
mph: milha por hora|milhas por hora
"""),
    currencies=table("""
€ EUR: euro|euros||cêntimo|cêntimos
R$ BRL: real|reais||centavo|centavos
$ US$ USD: dólar|dólares||centavo|centavos
£ GBP: libra|libras||pêni|pence
¥ JPY: iene|ienes
CHF: franco suíço|francos suíços||cêntimo|cêntimos
"""),
    money="{whole} {unit} e {cents} {cent}",
    of=lambda name: f"de {name}",
    scales=table("""
k K mil: mil
m M mi: milhão|milhões
bi: bilhão|bilhões
"""),
    months=(
        *("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho"),
        *("agosto", "setembro", "outubro", "novembro", "dezembro"),
    ),
    date=lambda day, month, year, _: f"{'primeiro' if day == 1 else day} de {month} de {year}",
    full_hour="{h} horas",
    time="{h} e {m}",
    small_minutes="",
    hour_sign=":h",
    fractions=phrases("""
1/2: meio
1/3: um terço
2/3: dois terços
1/4: um quarto
3/4: três quartos
"""),
    abbreviations=phrases("""
Sr.: senhor
Sra.: senhora
Dr.: doutor
Dra.: doutora
Prof.: professor
Profa.: professora
etc.: et cetera
p. ex.;p.ex.: por exemplo
n.º;N.º;nº: número
aprox.: aproximadamente
pág.: página
Av.: avenida
"""),
    closing=frozenset({"etc."}),
    plural=below_two,
    code="código",
)
