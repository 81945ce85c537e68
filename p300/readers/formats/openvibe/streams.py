"""The streams of an OpenViBE file: where their blocks are, and the stimulations.

Source: http://openvibe.inria.fr/ov-file-format-description/ (file),
http://openvibe.inria.fr/stream-structures/ (streams, in EBML).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from p300.errors import InputError
from p300.readers.events.labels import counted
from p300.readers.formats.openvibe.ebml import EBMLFile, Element
from p300.readers.formats.openvibe.labels import label_of

#: Types of streams.
SIGNAL, STIMULATIONS = 0x5BA36127195FEAE1, 0x6F752DD0082A321E

#: Identifiers of the file.
FILE_HEADER, COMPRESSION, STREAM_TYPE = 0xF59505AB3684C8D8, 0x40358769166380D1, 0x732EC1D1FE904087
FILE_BUFFER, STREAM_INDEX, START_TIME = 0x2E60AD1887A29BDF, 0x30A56D8AB9C12238, 0x093E6A0AC5A9467B
CONTENT = 0x8D4B0BE87051265C

#: Identifiers of the streams.
HEADER, BUFFER = 0x002B395F108ADFAE, 0x00CF210102375310
HEADER_SIGNAL, RATE = 0x007855DE3748D375, 0x00141C430C37006B
MATRIX, DIMENSION = 0x0072F5607ED2CBED, 0x0000E3C03A7D5141
DIMENSION_SIZE, DIMENSION_LABEL = 0x001302F736D8438A, 0x00153E40190227E0
BUFFER_MATRIX, RAW_BUFFER = 0x0012066308FBC165, 0x00B18C10427D098C
BUFFER_STIMULATION, STIMULATION = 0x006DEABE7FC05A20, 0x0016EAC629FBCAA1
STIMULATION_ID, STIMULATION_DATE = 0x006FA5DB4BAC31E9, 0x00B866D814DA5374

#: Seconds per unit of a time: 32 bits behind the point.
TICK_S = 2.0**-32


@dataclass
class Stream:
    """What a file holds of one stream: places of blocks of samples, or stimulations."""

    number: int
    kind: int
    sfreq: int = 0
    ch_names: list[str] = field(default_factory=list)
    n_block: int = 0
    blocks: list[tuple[int, int]] = field(default_factory=list)  # (time in ticks, place)
    seconds: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)

    @property
    def labels(self) -> list:
        """Names of the stimulations."""
        return [label_of(number) for number in self.ids]

    def __str__(self) -> str:
        if self.kind == SIGNAL:
            n_samples = len(self.blocks) * self.n_block
            shown = ", ".join(self.ch_names[:8]) + (", …" if len(self.ch_names) > 8 else "")
            return (
                f"stream {self.number}: signal, {n_samples} samples at {self.sfreq} Hz, "
                f"{len(self.ch_names)} channels: {shown}"
            )
        if self.kind == STIMULATIONS:
            return f"stream {self.number}: {len(self.ids)} stimulations: {counted(self.labels)}"
        return f"stream {self.number}: of another type"


def find_streams(file: EBMLFile, where: str) -> list[Stream]:
    """Find the streams, the places of their blocks, and the stimulations."""
    streams: list[Stream] = []
    for element in file.elements():
        if element.name == FILE_HEADER:
            for child in file.elements(element.begin, element.end):
                if child.name == COMPRESSION and file.number(child):
                    raise InputError(f"{where}: got compressed streams; expected plain ones")
                if child.name == STREAM_TYPE:
                    streams.append(Stream(len(streams) + 1, file.number(child)))
        elif element.name == FILE_BUFFER:
            index, ticks, content = -1, 0, None
            for child in file.elements(element.begin, element.end):
                if child.name == STREAM_INDEX:
                    index = file.number(child)
                elif child.name == START_TIME:
                    ticks = file.number(child)
                elif child.name == CONTENT:
                    content = child
            if content is not None and 0 <= index < len(streams):
                for part in file.elements(content.begin, content.end):
                    _take(file, streams[index], part, ticks, where)
    if not streams:
        raise InputError(f"{where}: got no header of OpenViBE; expected an .ov file")
    return streams


def _take(file: EBMLFile, stream: Stream, part: Element, ticks: int, where: str) -> None:
    """Take the header or a block of a stream."""
    for child in file.elements(part.begin, part.end):
        if stream.kind == SIGNAL and part.name == HEADER:
            if child.name == HEADER_SIGNAL:
                for leaf in file.elements(child.begin, child.end):
                    stream.sfreq = file.number(leaf) if leaf.name == RATE else stream.sfreq
            elif child.name == MATRIX:
                _take_size(file, stream, child, where)
        elif stream.kind == SIGNAL and part.name == BUFFER and child.name == BUFFER_MATRIX:
            for leaf in file.elements(child.begin, child.end):
                if leaf.name == RAW_BUFFER:
                    expected = 8 * len(stream.ch_names) * stream.n_block
                    if not expected or leaf.end - leaf.begin != expected:
                        raise InputError(
                            f"{where}: got a block of {leaf.end - leaf.begin} bytes in stream "
                            f"{stream.number}; expected {expected}, by the stream's header"
                        )
                    stream.blocks.append((ticks, leaf.begin))
        elif stream.kind == STIMULATIONS and child.name == BUFFER_STIMULATION:
            _take_stimulations(file, stream, child)


def _take_size(file: EBMLFile, stream: Stream, matrix: Element, where: str) -> None:
    """Take names of channels and samples per block from a stream's header."""
    sizes, labels = [], []
    for dimension in file.elements(matrix.begin, matrix.end):
        if dimension.name == DIMENSION:
            leaves = list(file.elements(dimension.begin, dimension.end))
            sizes += [file.number(leaf) for leaf in leaves if leaf.name == DIMENSION_SIZE][:1]
            labels.append([file.text(leaf) for leaf in leaves if leaf.name == DIMENSION_LABEL])
    if len(sizes) != 2 or not 0 < sizes[0] <= 100_000 or not 0 < sizes[1] <= 10_000_000:
        raise InputError(f"{where}: got a signal of size {sizes}; expected channels and samples")
    found = labels[0] if len(labels[0]) == sizes[0] and all(labels[0]) else None
    names = found or [f"E{k + 1}" for k in range(sizes[0])]
    if stream.blocks and (names, sizes[1]) != (stream.ch_names, stream.n_block):
        raise InputError(
            f"{where}: stream {stream.number} changes its channels; expected the same"
        )
    stream.ch_names, stream.n_block = names, sizes[1]


def _take_stimulations(file: EBMLFile, stream: Stream, place: Element) -> None:
    """Take the stimulations of a block, in elements of their own or one after another."""
    for child in file.elements(place.begin, place.end):
        if child.name == STIMULATION:
            _take_stimulations(file, stream, child._replace(name=STIMULATION))
        elif child.name == STIMULATION_ID:
            stream.ids.append(file.number(child))
            stream.seconds.append(0.0)
        elif child.name == STIMULATION_DATE and stream.seconds:
            stream.seconds[-1] = file.number(child) * TICK_S
