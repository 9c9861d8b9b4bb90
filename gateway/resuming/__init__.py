"""Finishing the sentence: where a server dies within a stream, another goes on from the text already
sent, and the client sees one stream. Pure.

reading   which calls can be finished by another server
asking    how the call is put to the first, and to one that goes on
sentence  what is told of the answer so far, and the one stream made of all they say
"""

from gateway.resuming.reading import sentence
from gateway.resuming.sentence import Sentence

__all__ = ["Sentence", "sentence"]
