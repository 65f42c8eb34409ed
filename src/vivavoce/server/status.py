"""`/health`, `/ready`, `/voices`, `/api/stream_config`."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce import __version__
from vivavoce.observe.stall import RECENT_S
from vivavoce.server.answers import json_answer
from vivavoce.server.state import ServerState
from vivavoce.session.audio_in import MAX_RATE_HZ, MIN_RATE_HZ


def _state(request: Request) -> ServerState:
    state: ServerState = request.app.state.server
    return state


async def health(request: Request) -> Response:
    """Liveness: the process answers, and how late its event loop was at worst."""
    state = _state(request)
    late_s, own_s = state.loop_monitor.recent_s()
    return json_answer(
        {
            "status": "ok",
            "active_sessions": len(state.sessions),
            "uptime_s": round(time.monotonic() - state.started_at, 1),
            "version": __version__,
            "loop": {
                "window_s": RECENT_S,
                "late_ms": round(late_s * 1000, 1),
                "own_ms": round(own_s * 1000, 1),
                "worst_ms": round(state.loop_monitor.worst_s * 1000, 1),
            },
        }
    )


async def ready(request: Request) -> Response:
    """Whether every engine works and new sessions are taken; detail only for those who may see it."""
    state = _state(request)
    is_ready = state.engines.ready and not state.sessions.draining
    answer: dict[str, object] = {"ready": is_ready}
    if request.scope.get("state", {}).get("owner") is not None:
        answer["engines"] = state.engines.report()
        detail = "; ".join(filter(None, [state.agents.failure(state.agent), *state.agent.toolbox.troubles]))
        answer["agent"] = {"name": state.agent.name, "ready": not detail, "detail": detail}
        answer["draining"] = state.sessions.draining
        if state.store.degraded:
            answer["degraded"] = [state.store.degraded]
    return json_answer(answer, status=200 if is_ready else 503)


async def voices(request: Request) -> Response:
    """The voices of the synthesizer in force."""
    state = _state(request)
    await state.engines.started()
    return json_answer(state.engines.in_force.tts.voices)


async def stream_config(request: Request) -> Response:
    """The configuration in force that a client can use; never a secret."""
    state = _state(request)
    await state.engines.started()
    settings, engines = state.settings, state.engines.in_force
    stream = settings.stream
    return json_answer(
        {
            "enabled": stream.enabled,
            "model_whisper": settings.asr.model,
            "vad_silence_ms": stream.vad_silence_ms,
            "partial_interval_ms": stream.partial_interval_ms,
            "max_utterance_ms": stream.max_utterance_ms,
            "max_pending_phrases": stream.max_pending_phrases,
            "log_latency": stream.log_latency,
            "llm_timeout_s": settings.llm.timeout_s,
            "tts_timeout_s": settings.tts.timeout_s,
            "pcm_chunk_size": stream.pcm_chunk_size,
            "inactivity_ms": stream.inactivity_ms,
            "backpressure_threshold": stream.backpressure_threshold,
            "backpressure_skip_frames": stream.backpressure_skip_frames,
            "tts_max_phrase_length": settings.tts.max_phrase_length,
            "debug": stream.debug,
            "agent": state.agent.name,
            "engines": state.engines.report(),
            "hints": state.engines.hints(),
            "language": settings.tts.language,
            "languages": list(engines.asr.languages),
            "input_sample_rate": {"min": MIN_RATE_HZ, "max": MAX_RATE_HZ, "default": 16_000},
            "output_sample_rate": engines.tts.sample_rate,
            "audio_out": ["wav_b64", "pcm"],
            "limits": {
                "max_sessions": settings.server.max_sessions,
                "idle_timeout_s": stream.idle_timeout_s,
                "turn_timeout_s": stream.turn_timeout_s,
                "resume_window_s": stream.resume_window_s,
            },
            "api_key": "set" if settings.server.api_key else "unset",
        }
    )


def routes() -> list[Route]:
    return [
        Route("/health", health),
        Route("/ready", ready),
        Route("/voices", voices),
        Route("/api/stream_config", stream_config),
    ]
