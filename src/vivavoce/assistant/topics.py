"""What the assistant tells: facts by subject, stories, jokes. All facts are well established and dated where needed."""

from __future__ import annotations

FACTS: dict[str, tuple[str, ...]] = {
    "space": (
        "A day on Venus is longer than its year: it turns once in 243 days, and circles the Sun in 225.",
        "Light from the Sun takes about eight minutes and twenty seconds to reach us.",
        "Saturn is less dense than water, so in a big enough bathtub it would float.",
        "The footprints on the Moon may last for millions of years, because there is no wind to blow them away.",
        "More than a million Earths would fit inside the Sun.",
        "Jupiter's Great Red Spot is a storm that is wider than the whole Earth.",
        "On Mars the sunset is blue.",
    ),
    "animals": (
        "An octopus has three hearts, and its blood is blue.",
        "Sea otters sometimes hold hands while they sleep, so that they don't drift apart.",
        "A hummingbird can fly backwards.",
        "Wombats leave droppings in the shape of cubes.",
        "A giraffe's neck has seven bones, just as many as yours.",
        "Bees dance to tell each other where the flowers are.",
        "A blue whale's heart can weigh more than two grown people.",
    ),
    "history": (
        "The shortest war on record lasted less than an hour: Britain against Zanzibar, in 1896.",
        "Cleopatra lived closer in time to the Moon landing than to the building of the Great Pyramid.",
        "Oxford was teaching students before the Aztecs founded their capital.",
        "Until 1752, the new year in England began on the twenty fifth of March.",
        "Roman concrete gets stronger in sea water, and some harbours still stand after two thousand years.",
        "The Eiffel Tower was meant to stand for only twenty years.",
    ),
    "science": (
        "Water can boil and freeze at the same time, when pressure and temperature are just right.",
        "Bananas are slightly radioactive, because they contain potassium.",
        "Lightning is about five times hotter than the surface of the Sun.",
        "Helium was discovered on the Sun before it was found on Earth.",
        "Glass can be made from ordinary sand, if you heat it to about 1700 degrees Celsius.",
        "Sound travels about four times faster in water than in air.",
    ),
    "food": (
        "Honey that is kept sealed hardly ever spoils.",
        "Carrots were not always orange: many early ones were purple or yellow.",
        "To a botanist a banana is a berry, but a strawberry is not.",
        "Apples float because about a quarter of them is air.",
        "Saffron is picked by hand, and it takes more than a hundred flowers to make a single gram.",
        "Chocolate was a bitter drink for thousands of years before anyone made it into a bar.",
    ),
    "the sea": (
        "The longest mountain chain on Earth lies under the sea.",
        "More people have walked on the Moon than had reached the deepest part of the sea by the year 2010.",
        "About half of the oxygen that is made on Earth comes from tiny plants in the sea.",
        "There is a jellyfish that can turn back into its youngest form and start its life again.",
        "The deepest place in the sea, in the Mariana Trench, is almost eleven kilometers down.",
        "Sharks are older than trees: they have been around for over 400 million years.",
    ),
    "the human body": (
        "Your nose and ears can still change shape when you are old, but your eyes hardly grow after childhood.",
        "A newborn has almost three hundred bones, and an adult about two hundred and six.",
        "Your heart beats about one hundred thousand times a day.",
        "The smallest bone in your body is in your ear, and is about three millimeters long.",
        "You are a little taller in the morning than in the evening.",
        "Your stomach renews its lining every few days, so that it doesn't digest itself.",
    ),
    "music": (
        "Beethoven wrote his ninth symphony when he could hardly hear at all.",
        "A piano has more than two hundred strings, although it has eighty eight keys.",
        "The oldest flutes that were found are about forty thousand years old, and made of bone and ivory.",
        "Mozart wrote his first pieces when he was five.",
        "A violin is made of about seventy pieces of wood.",
    ),
    "computers": (
        "The first computer mouse was made of wood.",
        "The computer that guided people to the Moon had about four kilobytes of working memory.",
        "The first programmer is often said to be Ada Lovelace, a hundred years before there was a computer.",
        "In 1947 a real moth was found in a computer and taped into the log book, as a bug.",
        "The first hard disk, from 1956, held five million characters and weighed about a ton.",
    ),
}
ALSO_CALLED = {
    "space": "the space planets planet stars star moon the_moon sun the_sun astronomy universe the_universe mars venus"
    " jupiter saturn outer_space the_planets the_stars the_solar_system earth the_earth",
    "animals": "animal nature wildlife pets dogs dog cats cat birds bird elephants bees octopus whales giraffes",
    "history": "the_past rome the_romans ancient_history the_middle_ages egypt",
    "science": "physics chemistry water lightning weather",
    "food": "cooking fruit fruits vegetables chocolate honey apples bananas",
    "the sea": "sea seas ocean oceans the_ocean fish sharks shark jellyfish the_oceans",
    "the human body": "human_body body my_body people humans the_body biology bones the_heart health medicine",
    "music": "songs instruments piano composers mozart beethoven",
    "computers": "computer technology programming computing internet",
}
SUBJECTS: dict[str, str] = {subject: subject for subject in FACTS} | {
    name.replace("_", " "): subject for subject, names in ALSO_CALLED.items() for name in names.split()
}
"""What a subject may be called, and its name in FACTS."""

STORIES = (
    (
        "Once there was an old lighthouse keeper named Martha. Every evening she lit the lamp, and every evening"
        " a small gull sat beside her. One night the lamp went out, and a ship was near the rocks. Martha could"
        " not find the matches. Then the gull flew to the bell and pulled its rope, again and again. The ship"
        " heard the bell and turned away. From then on, there were two keepers of the light."
    ),
    (
        "A young fox wanted to catch the moon. He saw it in the pond, and jumped, and got very wet. He saw it in"
        " a bucket, and ran home with it, but at home it was gone. An owl had watched him. Look up, she said. So"
        " the fox lay down in the grass and looked. The moon was round and bright above him. You can't carry it,"
        " said the owl, but it goes wherever you go."
    ),
    (
        "In a quiet town there lived a clock maker named Leo. All his clocks were right but one, and that one was"
        " always five minutes late. People laughed at it. One winter morning the bridge broke, just as the bus was"
        " due. The driver had set his watch by the slow clock, and so he was not there yet. Nobody was hurt. Leo"
        " never repaired that clock. He wrote beneath it, sometimes late is right on time."
    ),
)

JOKES = (
    "Why did the scarecrow win a prize? Because he was outstanding in his field.",
    "What do you call a bear with no teeth? A gummy bear.",
    "Why don't eggs tell jokes? They would crack each other up.",
    "I would tell you a joke about time travel, but you didn't like it.",
    "What do you call a fish without eyes? A fsh.",
    "Why was the math book sad? It had too many problems.",
    "How does the sea say hello? It waves.",
    "Why did the bicycle fall over? It was two tired.",
    "What is orange and sounds like a parrot? A carrot.",
    "Why can't you trust stairs? They are always up to something.",
)
