"""vivavoce: a self-hosted, realtime voice-agent server."""

from vivavoce.text.phrases import PhraseBuffer
from vivavoce.text.sentences import SentenceStreamBuffer, stream_with_sentences

__all__ = ["PhraseBuffer", "SentenceStreamBuffer", "stream_with_sentences"]

__version__ = "0.1.0"
