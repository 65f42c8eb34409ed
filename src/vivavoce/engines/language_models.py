"""Makes the language model that the settings ask for: an engine, what is done when it fails, and others beside it."""

from __future__ import annotations

from vivavoce.core.retry import Breaker
from vivavoce.engines.base import ChatModel
from vivavoce.engines.fallback import Fallback, Retrying
from vivavoce.engines.routing import Borrowed, Routed, Tuned
from vivavoce.settings import ModelOptions, Settings, Streaming

AUTO_LOOK_S = 0.3
"""How long `auto` waits for an Ollama that nobody has named."""
AUTO_REST_S = 60.0
"""How often it looks again."""
PROVIDERS = ("openai", "ollama", "offline")


def make(provider: str, settings: Settings) -> ChatModel:
    """The language model of *provider*, with the configured others. Raises EngineUnavailable for an address that
    cannot be."""
    if provider == "offline":
        main = offline()
    else:
        options = settings.llm.models.get(_main_name(provider, settings), ModelOptions())
        main = _guarded(_engine(provider, settings, options=options), settings, provider)
    others = {name: _other(name, provider, main, settings) for name in _others(provider, settings)}
    return Routed(main, others, settings.llm.routes) if others or settings.llm.routes else main


def offline() -> ChatModel:
    from vivavoce.engines.llm.offline import OfflineChat

    return OfflineChat()


def for_commands(settings: Settings) -> ChatModel | None:
    """The model that STREAMING_MODEL and STREAMING_OLLAMA_URL name, where it is another than Ollama's in general."""
    own, unset = settings.streaming, Streaming()
    wanted = own.ollama_url, own.model
    if wanted in ((unset.ollama_url, unset.model), (settings.ollama.base_url, settings.ollama.model)):
        return None
    engine = _ollama(settings, own.model, ModelOptions(base_url=own.ollama_url))
    return _fallback(Tuned(engine, settings.llm.models), offline(), Breaker(), settings)


def auto_provider(settings: Settings) -> str:
    """The one that `auto` asks first; an Ollama that nobody has named may turn out not to be there."""
    llm = settings.llm
    own = llm.models.get(llm.model or "", ModelOptions())
    return "openai" if llm.base_url or own.base_url or settings.openai.api_key else "ollama"


def _main_name(provider: str, settings: Settings) -> str:
    """The main model's name; empty for the assistant, and where the server's first is taken."""
    llm = settings.llm
    if provider == "offline":
        return ""
    if provider == "openai" and llm.base_url:
        return llm.model or ""
    return llm.model or (settings.ollama.model if provider == "ollama" else settings.openai.model)


def _guarded(model: ChatModel, settings: Settings, provider: str) -> ChatModel:
    """*model* with its options, with retries, and with the offline assistant for when it does not work."""
    nobody_named_it = provider == "ollama" and settings.llm.provider == "auto"
    breaker = Breaker(rest_s=AUTO_REST_S) if nobody_named_it else Breaker()
    return _fallback(Tuned(model, settings.llm.models), offline(), breaker, settings)


def _fallback(model: ChatModel, second: ChatModel, breaker: Breaker, settings: Settings) -> ChatModel:
    limit_s = settings.llm.first_token_timeout_s
    return Fallback(Retrying(model, budget_s=limit_s / 2), second, breaker=breaker, patience_s=0.9 * limit_s)


def _others(provider: str, settings: Settings) -> list[str]:
    """The names of models that are asked by an engine of their own: those with a route, so that they are looked for
    and loaded at the start, and those of other servers."""
    options = settings.llm.models
    elsewhere = [name for name in options if _split(name)[0] or options[name].base_url]
    main = _main_name(provider, settings)
    return [name for name in dict.fromkeys((*settings.llm.routes.values(), *elsewhere)) if name != main]


def _other(name: str, provider: str, main: ChatModel, settings: Settings) -> ChatModel:
    """The model called *name*, in whose place *main* answers when it does not work."""
    there, bare = _split(name)
    options = settings.llm.models.get(name) or settings.llm.models.get(bare) or ModelOptions()
    if there == "offline":
        return offline()
    named = bool(there)
    if not named:  # nearly all servers speak OpenAI's protocol
        there = "openai" if options.base_url else auto_provider(settings) if provider == "offline" else provider
    engine = _engine(there, settings, model=bare, options=options, named=named)
    return _fallback(Tuned(engine, {bare: options}), Borrowed(main), Breaker(), settings)


def _split(name: str) -> tuple[str, str]:
    """(provider, model) of a name; Ollama's own names have colons too."""
    provider, _, model = name.partition(":")
    return (provider, model or name) if provider in PROVIDERS and (model or provider == "offline") else ("", name)


def _engine(
    provider: str,
    settings: Settings,
    *,
    model: str | None = None,
    options: ModelOptions | None = None,
    named: bool = False,
) -> ChatModel:
    """The engine that asks *model*, else the configured one. named: whether the provider was named with the model."""
    options = options or ModelOptions()
    if provider == "ollama":
        return _ollama(settings, model, options)
    return _openai(settings, model, options, vendor=named and settings.openai.api_key is not None)


def _openai(settings: Settings, model: str | None, options: ModelOptions, *, vendor: bool) -> ChatModel:
    from vivavoce.engines.llm.openai import VENDOR_URL, OpenAIChat

    llm, own = settings.llm, settings.openai
    if options.base_url:  # a key goes only to the server that it was given for
        return OpenAIChat(
            base_url=options.base_url, model=model or llm.model or own.model, api_key=options.api_key,
            headers=options.headers, temperature=llm.temperature, max_tokens=llm.max_tokens,
            connect_s=llm.connect_timeout_s,
        )  # fmt: skip
    if llm.base_url and not vendor:
        return OpenAIChat(
            base_url=llm.base_url, model=model or llm.model, api_key=options.api_key or llm.api_key,
            headers=llm.headers | options.headers, temperature=llm.temperature, max_tokens=llm.max_tokens,
            connect_s=llm.connect_timeout_s,
        )  # fmt: skip
    main = not llm.base_url and llm.provider in ("auto", "openai")  # else the general key and headers are another's
    return OpenAIChat(
        base_url=own.base_url or VENDOR_URL, model=model or llm.model or own.model,
        api_key=options.api_key or own.api_key or (llm.api_key if main else None),
        headers=(llm.headers if main else {}) | options.headers, temperature=own.temperature, max_tokens=own.max_tokens,
        connect_s=llm.connect_timeout_s,
    )  # fmt: skip


def _ollama(settings: Settings, model: str | None, options: ModelOptions) -> ChatModel:
    from vivavoce.engines.llm.ollama import OllamaChat

    llm, ollama = settings.llm, settings.ollama
    auto = llm.provider == "auto" and model is None and options.base_url is None
    headers = llm.headers if llm.provider == "ollama" and not options.base_url else {}
    return OllamaChat(
        base_url=options.base_url or ollama.base_url, model=model or llm.model or ollama.model,
        headers=headers | options.headers, temperature=llm.temperature, max_tokens=llm.max_tokens,
        keep_alive=f"{ollama.keep_alive}s", connect_s=AUTO_LOOK_S if auto else llm.connect_timeout_s,
        look_s=AUTO_LOOK_S if auto else llm.connect_timeout_s,
    )  # fmt: skip
