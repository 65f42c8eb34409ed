"""Countries and their capitals, the states of the United States, and the time zones of large cities."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple


class Place(NamedTuple):
    """A country or state."""

    name: str
    capital: str
    note: str = ""
    """A further sentence where one city is not the whole truth."""


# name as it is said after "the capital of" | capital | other names, separated by commas | further sentence
COUNTRY_TABLE = """
Afghanistan | Kabul
Albania | Tirana
Algeria | Algiers
Andorra | Andorra la Vella
Angola | Luanda
Antigua and Barbuda | Saint John's | antigua
Argentina | Buenos Aires
Armenia | Yerevan
Australia | Canberra
Austria | Vienna
Azerbaijan | Baku
the Bahamas | Nassau
Bahrain | Manama
Bangladesh | Dhaka
Barbados | Bridgetown
Belarus | Minsk
Belgium | Brussels
Belize | Belmopan
Benin | Porto-Novo || The government sits in Cotonou.
Bhutan | Thimphu
Bolivia | Sucre || The government sits in La Paz.
Bosnia and Herzegovina | Sarajevo | bosnia
Botswana | Gaborone
Brazil | Brasília
Brunei | Bandar Seri Begawan
Bulgaria | Sofia
Burkina Faso | Ouagadougou
Burundi | Gitega
Cambodia | Phnom Penh
Cameroon | Yaoundé
Canada | Ottawa
Cape Verde | Praia | cabo verde
the Central African Republic | Bangui
Chad | N'Djamena
Chile | Santiago
China | Beijing
Colombia | Bogotá
the Comoros | Moroni
the Democratic Republic of the Congo | Kinshasa | democratic republic of congo, dr congo, congo kinshasa
the Republic of the Congo | Brazzaville | congo, republic of congo, congo brazzaville
Costa Rica | San José
Croatia | Zagreb
Cuba | Havana
Cyprus | Nicosia
the Czech Republic | Prague | czechia
Denmark | Copenhagen
Djibouti | Djibouti
Dominica | Roseau
the Dominican Republic | Santo Domingo
East Timor | Dili | timor leste
Ecuador | Quito
Egypt | Cairo
El Salvador | San Salvador
England | London
Equatorial Guinea | Malabo || A new capital, Ciudad de la Paz, is being built.
Eritrea | Asmara
Estonia | Tallinn
Eswatini | Mbabane | swaziland
Ethiopia | Addis Ababa
Fiji | Suva
Finland | Helsinki
France | Paris
Gabon | Libreville
the Gambia | Banjul
Georgia | Tbilisi || The American state of Georgia has Atlanta.
Germany | Berlin
Ghana | Accra
Greece | Athens
Grenada | Saint George's
Guatemala | Guatemala City
Guinea | Conakry
Guinea-Bissau | Bissau | guinea bissau
Guyana | Georgetown
Haiti | Port-au-Prince
Honduras | Tegucigalpa
Hungary | Budapest
Iceland | Reykjavík
India | New Delhi
Indonesia | Jakarta || A new capital, Nusantara, is being built.
Iran | Tehran
Iraq | Baghdad
Ireland | Dublin | republic of ireland
Israel | Jerusalem || Its status is disputed, and most embassies are in Tel Aviv.
Italy | Rome
the Ivory Coast | Yamoussoukro | cote d'ivoire || The government sits in Abidjan.
Jamaica | Kingston
Japan | Tokyo
Jordan | Amman
Kazakhstan | Astana
Kenya | Nairobi
Kiribati | Tarawa
Kosovo | Pristina
Kuwait | Kuwait City
Kyrgyzstan | Bishkek
Laos | Vientiane
Latvia | Riga
Lebanon | Beirut
Lesotho | Maseru
Liberia | Monrovia
Libya | Tripoli
Liechtenstein | Vaduz
Lithuania | Vilnius
Luxembourg | Luxembourg City
Madagascar | Antananarivo
Malawi | Lilongwe
Malaysia | Kuala Lumpur || The government sits in Putrajaya.
the Maldives | Malé
Mali | Bamako
Malta | Valletta
the Marshall Islands | Majuro
Mauritania | Nouakchott
Mauritius | Port Louis
Mexico | Mexico City
Micronesia | Palikir
Moldova | Chișinău
Monaco | Monaco
Mongolia | Ulaanbaatar
Montenegro | Podgorica
Morocco | Rabat
Mozambique | Maputo
Myanmar | Naypyidaw | burma
Namibia | Windhoek
Nauru | Yaren || It has no official capital, but the government sits there.
Nepal | Kathmandu
the Netherlands | Amsterdam | holland || The government sits in The Hague.
New Zealand | Wellington
Nicaragua | Managua
Niger | Niamey
Nigeria | Abuja
North Korea | Pyongyang
North Macedonia | Skopje | macedonia
Northern Ireland | Belfast
Norway | Oslo
Oman | Muscat
Pakistan | Islamabad
Palau | Ngerulmud
Palestine | East Jerusalem || That is the capital it claims; its administration is in Ramallah.
Panama | Panama City
Papua New Guinea | Port Moresby
Paraguay | Asunción
Peru | Lima
the Philippines | Manila
Poland | Warsaw
Portugal | Lisbon
Qatar | Doha
Romania | Bucharest
Russia | Moscow | russian federation
Rwanda | Kigali
Saint Kitts and Nevis | Basseterre
Saint Lucia | Castries
Saint Vincent and the Grenadines | Kingstown | saint vincent
Samoa | Apia
San Marino | San Marino
São Tomé and Príncipe | São Tomé | sao tome, sao tome and principe
Saudi Arabia | Riyadh
Scotland | Edinburgh
Senegal | Dakar
Serbia | Belgrade
the Seychelles | Victoria
Sierra Leone | Freetown
Singapore | Singapore
Slovakia | Bratislava
Slovenia | Ljubljana
the Solomon Islands | Honiara
Somalia | Mogadishu
South Africa | Pretoria || Parliament meets in Cape Town, and the court of appeal in Bloemfontein.
South Korea | Seoul | korea
South Sudan | Juba
Spain | Madrid
Sri Lanka | Sri Jayawardenepura Kotte || The largest city is Colombo.
Sudan | Khartoum
Suriname | Paramaribo
Sweden | Stockholm
Switzerland | Bern || Bern is the seat of government; the constitution names no capital.
Syria | Damascus
Taiwan | Taipei
Tajikistan | Dushanbe
Tanzania | Dodoma
Thailand | Bangkok
Togo | Lomé
Tonga | Nukuʻalofa
Trinidad and Tobago | Port of Spain | trinidad
Tunisia | Tunis
Turkey | Ankara | turkiye
Turkmenistan | Ashgabat
Tuvalu | Funafuti
Uganda | Kampala
Ukraine | Kyiv
the United Arab Emirates | Abu Dhabi | uae, emirates
the United Kingdom | London | uk, britain, great britain
the United States | Washington, D.C. | usa, us, america, united states of america, states
Uruguay | Montevideo
Uzbekistan | Tashkent
Vanuatu | Port Vila
Vatican City | Vatican City | vatican
Venezuela | Caracas
Vietnam | Hanoi
Wales | Cardiff
Yemen | Sanaa
Zambia | Lusaka
Zimbabwe | Harare
"""
STATE_TABLE = """
Alabama | Montgomery
Alaska | Juneau
Arizona | Phoenix
Arkansas | Little Rock
California | Sacramento
Colorado | Denver
Connecticut | Hartford
Delaware | Dover
Florida | Tallahassee
Hawaii | Honolulu
Idaho | Boise
Illinois | Springfield
Indiana | Indianapolis
Iowa | Des Moines
Kansas | Topeka
Kentucky | Frankfort
Louisiana | Baton Rouge
Maine | Augusta
Maryland | Annapolis
Massachusetts | Boston
Michigan | Lansing
Minnesota | Saint Paul
Mississippi | Jackson
Missouri | Jefferson City
Montana | Helena
Nebraska | Lincoln
Nevada | Carson City
New Hampshire | Concord
New Jersey | Trenton
New Mexico | Santa Fe
New York | Albany
North Carolina | Raleigh
North Dakota | Bismarck
Ohio | Columbus
Oklahoma | Oklahoma City
Oregon | Salem
Pennsylvania | Harrisburg
Rhode Island | Providence
South Carolina | Columbia
South Dakota | Pierre
Tennessee | Nashville
Texas | Austin
Utah | Salt Lake City
Vermont | Montpelier
Virginia | Richmond
Washington | Olympia || If you mean the United States, it is Washington, D.C.
West Virginia | Charleston
Wisconsin | Madison
Wyoming | Cheyenne
"""


def key(name: str) -> str:
    """How a name is looked up: lower case, without article, accents and signs that a recogniser would lack."""
    decomposed = unicodedata.normalize("NFKD", name.lower().replace("-", " "))
    plain = re.sub(r"[^a-z ]", "", decomposed).strip()
    return re.sub(r"^st ", "saint ", plain.removeprefix("the "))


def read_table(table: str) -> dict[str, Place]:
    places: dict[str, Place] = {}
    for line in table.strip().splitlines():
        facts, _, note = line.partition("||")
        name, capital, *aliases = (field.strip() for field in facts.split("|"))
        place = Place(name, capital, note.strip())
        others = [alias.strip() for alias in aliases[0].split(",")] if aliases else []
        places |= {key(each): place for each in (name, *others)}
    return places


COUNTRIES = read_table(COUNTRY_TABLE)
STATES = read_table(STATE_TABLE)
PLACES = STATES | COUNTRIES
BY_CAPITAL: dict[str, list[Place]] = {}
for each in (*dict.fromkeys(COUNTRIES.values()), *STATES.values()):
    BY_CAPITAL.setdefault(key(each.capital), []).append(each)
BY_CAPITAL["washington"] = BY_CAPITAL["washington dc"]

SPOKEN_COUNTRIES = (*PLACES, "the united states", "the united kingdom", "the netherlands", "the philippines")
SPOKEN_CAPITALS = tuple(name for name in BY_CAPITAL if name.isascii() and len(name.split()) < 3)

ZONES = {
    "london": "Europe/London", "paris": "Europe/Paris", "berlin": "Europe/Berlin", "madrid": "Europe/Madrid",
    "rome": "Europe/Rome", "vienna": "Europe/Vienna", "zurich": "Europe/Zurich", "amsterdam": "Europe/Amsterdam",
    "brussels": "Europe/Brussels", "dublin": "Europe/Dublin", "lisbon": "Europe/Lisbon", "athens": "Europe/Athens",
    "stockholm": "Europe/Stockholm", "oslo": "Europe/Oslo", "copenhagen": "Europe/Copenhagen",
    "helsinki": "Europe/Helsinki", "warsaw": "Europe/Warsaw", "prague": "Europe/Prague", "budapest": "Europe/Budapest",
    "moscow": "Europe/Moscow", "kiev": "Europe/Kiev", "istanbul": "Europe/Istanbul", "cairo": "Africa/Cairo",
    "nairobi": "Africa/Nairobi", "lagos": "Africa/Lagos", "johannesburg": "Africa/Johannesburg",
    "cape town": "Africa/Johannesburg", "dubai": "Asia/Dubai", "tehran": "Asia/Tehran", "karachi": "Asia/Karachi",
    "delhi": "Asia/Kolkata", "new delhi": "Asia/Kolkata", "mumbai": "Asia/Kolkata", "bangkok": "Asia/Bangkok",
    "singapore": "Asia/Singapore", "hong kong": "Asia/Hong_Kong", "beijing": "Asia/Shanghai",
    "shanghai": "Asia/Shanghai", "seoul": "Asia/Seoul", "tokyo": "Asia/Tokyo", "sydney": "Australia/Sydney",
    "melbourne": "Australia/Melbourne", "auckland": "Pacific/Auckland", "new york": "America/New_York",
    "boston": "America/New_York", "miami": "America/New_York", "washington": "America/New_York",
    "toronto": "America/Toronto", "chicago": "America/Chicago", "dallas": "America/Chicago",
    "houston": "America/Chicago", "denver": "America/Denver", "phoenix": "America/Phoenix",
    "los angeles": "America/Los_Angeles", "san francisco": "America/Los_Angeles", "seattle": "America/Los_Angeles",
    "las vegas": "America/Los_Angeles", "vancouver": "America/Vancouver", "mexico city": "America/Mexico_City",
    "bogota": "America/Bogota", "lima": "America/Lima", "buenos aires": "America/Argentina/Buenos_Aires",
    "rio": "America/Sao_Paulo", "honolulu": "Pacific/Honolulu", "hawaii": "Pacific/Honolulu",
    "japan": "Asia/Tokyo", "india": "Asia/Kolkata", "china": "Asia/Shanghai", "germany": "Europe/Berlin",
    "france": "Europe/Paris", "spain": "Europe/Madrid", "italy": "Europe/Rome", "england": "Europe/London",
    "california": "America/Los_Angeles", "texas": "America/Chicago",
}  # fmt: skip
