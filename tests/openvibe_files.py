"""Write OpenViBE's .ov files byte by byte, as the format's description says.

http://openvibe.inria.fr/ov-file-format-description/ (identifiers with their length marker),
http://openvibe.inria.fr/stream-structures/ (the streams inside)
"""

import numpy as np

SIGNAL, STIMULATIONS, EXPERIMENT = 0x5BA36127195FEAE1, 0x6F752DD0082A321E, 0x403488E7565D70B6

#: As the description prints them, with the marker of their length.
FILE_HEADER = bytes.fromhex("0040F59505AB3684C8D8")
COMPRESSION = bytes.fromhex("00C0358769166380D1")
STREAM = bytes.fromhex("00F32EC1D1FE904087")
FILE_BUFFER = bytes.fromhex("00AE60AD1887A29BDF")
STREAM_INDEX = bytes.fromhex("00B0A56D8AB9C12238")
START_TIME = bytes.fromhex("00893E6A0AC5A9467B")
END_TIME = bytes.fromhex("00408B5CCCD9C5024F29")
CONTENT = bytes.fromhex("00408D4B0BE87051265C")


def identifier(high, low):
    """An identifier of a stream's node: 64 bits, written with the shortest marker."""
    number = high << 32 | low
    n = next(n for n in range(1, 11) if number < 1 << (7 * n))
    return (number | 1 << (7 * n)).to_bytes(n, "big")


HEADER, BUFFER, END = (
    identifier(0x002B395F, 0x108ADFAE),
    identifier(0x00CF2101, 0x02375310),
    identifier(0x00D9DDC3, 0x0B12873A),
)
TYPE, VERSION = identifier(0x00CDD0F7, 0x46B0278D), identifier(0x006F5A08, 0x7796EBC5)
HEADER_SIGNAL, RATE = identifier(0x007855DE, 0x3748D375), identifier(0x00141C43, 0x0C37006B)
MATRIX, N_DIMENSIONS = identifier(0x0072F560, 0x7ED2CBED), identifier(0x003FEBD4, 0x2725D428)
DIMENSION, SIZE = identifier(0x0000E3C0, 0x3A7D5141), identifier(0x001302F7, 0x36D8438A)
LABEL = identifier(0x00153E40, 0x190227E0)
BUFFER_MATRIX, RAW = identifier(0x00120663, 0x08FBC165), identifier(0x00B18C10, 0x427D098C)
SET, N_SET = identifier(0x006DEABE, 0x7FC05A20), identifier(0x00BB790B, 0x2B8574D8)
ONE, ONE_ID = identifier(0x0016EAC6, 0x29FBCAA1), identifier(0x006FA5DB, 0x4BAC31E9)
DATE, DURATION = identifier(0x00B866D8, 0x14DA5374), identifier(0x14EE055F, 0x87FBCC9C)


def node(name, *content):
    body = b"".join(uint(c) if isinstance(c, int) else c for c in content)
    n = next(n for n in range(1, 9) if len(body) < (1 << (7 * n)) - 1)
    return name + (len(body) | 1 << (7 * n)).to_bytes(n, "big") + body


def uint(number):
    return number.to_bytes(8, "big")


def fixed(seconds):
    return round(seconds * 2**32)


def signal_header(ch_names, sfreq, n_block):
    names = [node(LABEL, name.encode()) for name in ch_names]
    matrix = node(
        MATRIX,
        node(N_DIMENSIONS, 2),
        node(DIMENSION, node(SIZE, len(ch_names)), *names),
        node(DIMENSION, node(SIZE, n_block), *[node(LABEL, b"")] * n_block),
    )
    return node(
        HEADER, node(TYPE, 0), node(VERSION, 0), node(HEADER_SIGNAL, node(RATE, sfreq)), matrix
    )


def stimulations(pairs):
    """A buffer of (seconds, number)."""
    inside = [
        node(ONE, node(ONE_ID, number), node(DATE, fixed(second)), node(DURATION, 0))
        for second, number in pairs
    ]
    return node(BUFFER, node(SET, node(N_SET, len(inside)), *inside))


def file_buffer(index, start, end, content):
    return node(
        FILE_BUFFER,
        node(STREAM_INDEX, index),
        node(START_TIME, fixed(start)),
        node(END_TIME, fixed(end)),
        node(CONTENT, content),
    )


def write_ov(path, signal, ch_names, sfreq, pairs, *, n_block=32, start=0.0, gaps=(), more=()):
    """Write a signal in µV (n_chans, n_samples), cut to whole blocks, and its stimulations.

    ``gaps`` are (block, seconds that are missing before it); ``more`` are lists of further
    stimulations, one stream each.
    """
    kinds = [EXPERIMENT, SIGNAL, STIMULATIONS, *[STIMULATIONS] * len(more)]
    ebml = node(
        bytes.fromhex("1A45DFA3"),
        node(bytes.fromhex("4282"), b"OpenViBE_Stream_File"),
        node(bytes.fromhex("4286"), 1),
        node(bytes.fromhex("42F2"), 10),
    )
    streams = [node(STREAM, kind) for kind in kinds]
    parts = [ebml, node(FILE_HEADER, node(COMPRESSION, 0), *streams)]
    parts.append(file_buffer(0, 0, 0, node(HEADER, node(TYPE, 0), node(VERSION, 0))))
    parts.append(file_buffer(1, 0, 0, signal_header(ch_names, sfreq, n_block)))
    lists = [pairs, *more]
    for k in range(len(lists)):
        parts.append(file_buffer(2 + k, 0, 0, node(HEADER, node(TYPE, 0), node(VERSION, 0))))
    missing = dict(gaps)
    second, last = start, start
    for k in range(signal.shape[1] // n_block):
        second += missing.get(k, 0.0)
        stop = second + n_block / sfreq
        block = np.ascontiguousarray(signal[:, k * n_block : (k + 1) * n_block], "<f8")
        content = node(BUFFER, node(BUFFER_MATRIX, node(RAW, block.tobytes())))
        parts.append(file_buffer(1, second, stop, content))
        for n, some in enumerate(lists):
            inside = [pair for pair in some if last <= pair[0] < stop]
            parts.append(file_buffer(2 + n, last, stop, stimulations(inside)))
        second = last = stop
    parts.append(file_buffer(1, second, second, node(END)))
    path.write_bytes(b"".join(parts))
    return path
