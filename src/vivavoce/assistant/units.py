"""Units of measure: what they are called, what they measure, how large they are."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """value in the base unit = value * factor + offset"""

    one: str
    many: str
    measures: str
    factor: Fraction
    offset: Fraction = Fraction(0)


# kind | singular | plural | factor to the kind's base unit | other names
TABLE = """
length | millimeter | millimeters | 0.001 | mm millimetre millimetres
length | centimeter | centimeters | 0.01 | cm centimetre centimetres cms
length | meter | meters | 1 | m metre metres
length | kilometer | kilometers | 1000 | km kms kilometre kilometres k
length | inch | inches | 0.0254 | in
length | foot | feet | 0.3048 | ft
length | yard | yards | 0.9144 | yd yds
length | mile | miles | 1609.344 | mi
length | nautical mile | nautical miles | 1852 | nmi
length | light year | light years | 9460730472580800 | lightyear lightyears
mass | milligram | milligrams | 0.000001 | mg
mass | gram | grams | 0.001 | g gr gramme grammes
mass | kilogram | kilograms | 1 | kg kgs kilo kilos kilogramme kilogrammes
mass | metric ton | metric tons | 1000 | tonne tonnes t
mass | ton | tons | 907.18474 | short_ton short_tons
mass | ounce | ounces | 0.028349523125 | oz
mass | pound | pounds | 0.45359237 | lb lbs
mass | stone | stone | 6.35029318 | stones
volume | milliliter | milliliters | 0.001 | ml millilitre millilitres
volume | centiliter | centiliters | 0.01 | cl centilitre centilitres
volume | liter | liters | 1 | l litre litres
volume | cubic meter | cubic meters | 1000 | cubic_metre cubic_metres
volume | teaspoon | teaspoons | 0.00492892159375 | tsp
volume | tablespoon | tablespoons | 0.01478676478125 | tbsp
volume | fluid ounce | fluid ounces | 0.0295735295625 | fl_oz
volume | cup | cups | 0.2365882365 |
volume | pint | pints | 0.473176473 |
volume | quart | quarts | 0.946352946 |
volume | gallon | gallons | 3.785411784 | gal
area | square meter | square meters | 1 | square_metre square_metres sqm
area | square kilometer | square kilometers | 1000000 | square_kilometre square_kilometres
area | square foot | square feet | 0.09290304 | sq_ft
area | square mile | square miles | 2589988.110336 |
area | acre | acres | 4046.8564224 |
area | hectare | hectares | 10000 | ha
speed | meter per second | meters per second | 1 | m/s metre_per_second metres_per_second
speed | kilometer per hour | kilometers per hour | 5/18 | km/h kph kmh kilometers_an_hour kilometres_per_hour
speed | mile per hour | miles per hour | 0.44704 | mph miles_an_hour
speed | foot per second | feet per second | 0.3048 |
speed | knot | knots | 463/900 | kn
time | millisecond | milliseconds | 0.001 | ms
time | second | seconds | 1 | s sec secs
time | minute | minutes | 60 | min mins
time | hour | hours | 3600 | h hr hrs
time | day | days | 86400 |
time | week | weeks | 604800 |
time | month | months | 2629746 |
time | year | years | 31556952 |
time | decade | decades | 315569520 |
time | century | centuries | 3155695200 |
data | bit | bits | 1/8 |
data | byte | bytes | 1 |
data | kilobyte | kilobytes | 1000 | kb
data | megabyte | megabytes | 1000000 | mb meg megs
data | gigabyte | gigabytes | 1000000000 | gb gig gigs
data | terabyte | terabytes | 1000000000000 | tb
data | kibibyte | kibibytes | 1024 | kib
data | mebibyte | mebibytes | 1048576 | mib
data | gibibyte | gibibytes | 1073741824 | gib
data | megabit | megabits | 125000 |
data | gigabit | gigabits | 125000000 |
"""
# Years are Gregorian (365.2425 days) and months a twelfth of that; cups to gallons are those of the United States.


def read_table() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for line in TABLE.strip().splitlines():
        kind, one, many, factor, names = (field.strip() for field in line.split("|"))
        unit = Unit(one, many, kind, Fraction(factor))
        units |= dict.fromkeys([one, many, *(other.replace("_", " ") for other in names.split())], unit)
    celsius = Unit("degree Celsius", "degrees Celsius", "temperature", Fraction(1))
    fahrenheit = Unit("degree Fahrenheit", "degrees Fahrenheit", "temperature", Fraction(5, 9), Fraction(-160, 9))
    kelvin = Unit("kelvin", "kelvins", "temperature", Fraction(1), Fraction(-27315, 100))
    units |= dict.fromkeys(["kelvin", "kelvins", "degrees kelvin"], kelvin)
    for unit, called in ((celsius, ("celsius", "centigrade", "c")), (fahrenheit, ("fahrenheit", "f"))):
        units |= dict.fromkeys([f"{degrees}{name}" for name in called for degrees in ("", "degree ", "degrees ")], unit)
    return units


UNITS = read_table()


def convert(value: Fraction, source: Unit, target: Unit) -> Fraction:
    """*value* of *source* in *target*; both measure the same."""
    return (value * source.factor + source.offset - target.offset) / target.factor


def unit(text: str) -> Unit | None:
    """The unit called *text*, in any case."""
    return UNITS.get(text.lower())
