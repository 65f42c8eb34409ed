"""Small talk, help, and stopping."""

from __future__ import annotations

from vivavoce.assistant import recall
from vivavoce.assistant.skill import Skill, Turn

skill = Skill("talk")

HELP = (
    "I can tell the time, set timers, calculate, convert units, and remember what you tell me. "
    "Or ask me for a story, a joke, a fact, or a capital."
)


@skill.on(
    """
    help; help me; what can you do; what can i say; what can i ask you; what do you do; how can you help me;
    what are you able to do; how do you work
    """,
    also="""
    what else can you do; what can i (do|ask); (show|list) [me] [the|your] (commands|skills|features); commands;
    what can you do for me; what you can do; how can you help; what (are your|your) (skills|abilities|commands);
    can you help [me]; i need help; what should i (ask|say); what do you know how to do; menu; instructions
    """,
)
def help_me() -> str:
    return HELP


@skill.on(
    """
    stop; stop it; be quiet; never mind; nevermind; cancel; shut up; that's enough; enough; quiet; forget it;
    stop talking; please stop; no thanks; no thank you; nothing; silence; that is all
    """,
    also="""
    stop (please|now|that|speaking|the story|the music); cancel that; hush; nothing thanks; it does not matter;
    i do not want (that|it|anything); abort; quit; wait; hold on; one moment; one second; just a moment
    """,
)
def stop() -> str:
    return "Okay."


@skill.on(
    """
    hello; hi; hey; hello there; hi there; good morning; good afternoon; good evening; hello world; good day;
    hey there; greetings
    """,
    also="""
    hello hello; hello again; hi again; howdy; hiya; (hello|hi|hey) {common_name:who}; hello my friend;
    hello (computer|assistant|everybody|everyone); yo; alexa; computer; assistant
    """,
)
def hello(turn: Turn) -> str:
    name = recall.recall(turn.history).name
    hour = turn.now.hour
    greeting = "Good morning" if 5 <= hour < 12 else "Good afternoon" if 12 <= hour < 18 else "Good evening"
    return f"{greeting}{f', {name}' if name else ''}! What can I do for you?"


@skill.on(
    """
    goodbye; bye; bye bye; see you; see you later; good night; see you tomorrow; talk to you later; have a nice day;
    i have to go
    """,
    also="""
    good bye; (thanks|thank you|okay|great) (bye|goodbye|good night);
    (bye|goodbye) (for now|now|computer|assistant); farewell; ciao; i am (leaving|going|off);
    until (later|tomorrow); take care; that is all for (now|today)
    """,
)
def goodbye(turn: Turn) -> str:
    name = recall.recall(turn.history).name
    return f"Goodbye{f', {name}' if name else ''}! It was nice to talk."


@skill.on(
    "how old are you; when were you born; when is your birthday",
    also="what is your age",
)
def age() -> str:
    return "I have no birthday. I am as old as the moment you started me."


def says(text: str, spoken: str, *, also: str = "") -> None:
    """Answer these templates always with *text*."""
    skill.on(spoken, also=also)(lambda: text)


says(
    "I'm fine, thank you. What can I do for you?",
    """
    how are you; how are you today; how are you doing; how is it going; how do you do; how do you feel; what's up;
    are you okay; how have you been; how are things; how is your day
    """,
    also="""
    how you are; what is new; how are you feeling [today]; are you (fine|well|good); how was your day;
    and how are you; how are you my friend; what is going on; what are you doing
    """,
)
says(
    "I'm vivavoce, a voice assistant that runs on your own machine.",
    """
    who are you; what are you; what is your name; what's your name; what are you called; tell me about yourself;
    introduce yourself; do you have a name; what should i call you
    """,
    also="""
    your name; and you are; what (your name is|you are); who you are; tell me your name; about yourself;
    which assistant are you; who am i (talking|speaking) to; are you (alexa|siri|google|a chatbot); and yours
    """,
)
says(
    "A few people who like conversations wrote me, as open software.",
    "who made you; who created you; who built you; where do you come from; who is your creator",
    also="who (wrote|programmed|developed|designed) you; who (owns|trained) you; where are you from",
)
says(
    "I'm a program. I follow rules, and no language model is connected.",
    """
    are you a robot; are you human; are you real; are you a computer; are you an a i; are you alive;
    are you intelligent; are you a person
    """,
    also="""
    are you (ai|an ai|a machine|a bot|a program|a human|conscious|sentient|smart); what model are you;
    do you (think|sleep|dream|eat|have feelings); which [language] model (are you|do you use); are you chat gpt
    """,
)
says(
    "I run on the machine that you connected to, and nothing leaves it.",
    "where are you; where do you live; are you offline; are you online; do you need the internet",
    also="are you (connected|connected to the internet); is this private; do you record me; are you recording",
)
says(
    "You're welcome!",
    "thank you; thanks; thank you very much; thanks a lot; thank you so much; many thanks; great thanks",
    also="""
    thanks (very|so) much; okay (thanks|thank you); perfect (thanks|thank you); cheers; i appreciate it;
    thank you (computer|assistant|my friend|kindly); thanks for (that|the help|your help|everything)
    """,
)
says(
    "Thank you, that is kind of you.",
    """
    you are great; you're great; good job; well done; i like you; i love you; you are funny; you are nice;
    you are the best; nice work; you are very helpful; you are smart
    """,
    also="""
    you are [so|very|really]
      (great|good|funny|nice|smart|clever|amazing|awesome|wonderful|helpful|cool|brilliant|sweet);
    that (is|was) [very|really|so]
      (nice|funny|great|good|helpful|cool|beautiful|interesting|amazing|awesome|wonderful|a good one);
    (very|that is) (good|nice|funny); good (bot|one); i love it; bravo; great job; haha; ha ha
    """,
)
says(
    "I'm sorry. I'll try to do better.",
    """
    you are wrong; that is wrong; that's not right; you are stupid; i hate you; that is not what i said;
    you do not understand; that was bad
    """,
    also="""
    you are (bad|dumb|useless|silly|an idiot|terrible|annoying|boring);
    that (is|was) (stupid|bad|boring|not funny|false|incorrect|terrible|useless|not what i (asked|meant|wanted));
    (wrong|bad bot); you suck; you got it wrong
    """,
)
says(
    "Go ahead.",
    "can i ask you a question; can i ask you something; i have a question; may i ask you something",
    also="i want to ask you (something|a question); are you ready; listen; listen to me; let us talk; talk to me",
)
says(
    "As sure as a program can be.",
    "are you sure; is that right; is that true; are you sure about that",
    also="(really sure|are you certain|is that correct); are you lying",
)
says(
    "Nice to meet you too!",
    "nice to meet you; pleased to meet you; it's nice to meet you; good to see you; nice talking to you",
    also="(good|great|lovely) to (meet|see|hear) you",
)
says(
    "Yes, I can hear you.",
    """
    can you hear me; are you there; are you listening; do you hear me; is anybody there; testing; test;
    one two three testing; is this working; does this work
    """,
    also="""
    is this [thing] on; testing testing; [this is] a test; mic check; anybody (there|home); do you understand me;
    testing one two [three]; one two [three]
    """,
)
says(
    "I'm sorry to hear that. A story or a joke might help.",
    "i am sad; i'm sad; i'm tired; i am bored; i'm bored; i feel bad; i am lonely; i don't feel well",
    also="""
    i am [so|very|really] (sad|tired|bored|lonely|sick|ill|angry|stressed|upset|unhappy|depressed);
    i (feel|am feeling) [so|very] (sad|bad|sick|lonely|down|ill|bored|tired); i do not feel good
    """,
)
says(
    "I'm glad to hear that!",
    "i am fine; i'm fine; i am happy; i'm good; i'm fine thanks; i feel good; very well; i am doing well",
    also="""
    i am [so|very|really|doing] (fine|happy|good|great|well|okay|excited|glad); i feel (great|good|fine|happy);
    fine; good; great; pretty good; not bad; all good; i am fine and you; fine and you
    """,
)
says(
    "Okay.",
    "okay; alright; all right; yes; no; sure; of course; i see; really; yes please; maybe",
    also="""
    ok; yeah; yep; nope; right; cool; nice; wow; awesome; interesting; good to know; got it; i understand;
    that is (right|correct|true|fine|okay); correct; exactly; understood
    """,
)
says(
    "No problem at all.",
    "i'm sorry; i am sorry; sorry about that; my mistake; my bad",
    also="i apologize; excuse me please; my apologies",
)
says(
    "Some say forty two. I'd say, good company.",
    "what is the meaning of life; what is the answer to everything",
    also="""
    what is the (meaning|purpose|sense) of (life|everything); meaning of life;
    what is the answer to life the universe and everything
    """,
)
says(
    "La la la. I had better leave singing to you.",
    "sing a song; sing me a song; can you sing; sing something",
    also="sing [for me]; sing happy birthday; [can you] (rap|dance|whistle|beatbox)",
)
says(
    "I only speak English for now. Other languages need a language model and a voice for them.",
    """
    do you speak {language}; speak {language}; can you speak {language}; let's speak {language};
    which languages do you speak; what languages do you speak; how do you say hello in {language}
    """,
    also="""
    (talk|answer|switch|reply) (in|to) {language}; do you (understand|know) {language}; translate {rest};
    how do you say {rest} in {language}; what languages [do] you know; what is {rest} in {language}
    """,
)
