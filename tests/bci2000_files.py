"""Write BCI2000 files byte by byte, as the format's description says.

https://www.bci2000.org/mediawiki/index.php/Technical_Reference:BCI2000_File_Format
"""

import numpy as np

DTYPES = {"int16": "<i2", "int32": "<i4", "float32": "<f4"}

#: Name, bits, byte and bit of the states: packed without gaps, as BCI2000 2 and later do.
PACKED = (
    ("Running", 1, 0, 0),
    ("SourceTime", 16, 0, 1),
    ("StimulusCode", 16, 2, 1),
    ("StimulusType", 1, 4, 1),
    ("PhaseInSequence", 2, 4, 2),
)

#: The same with each state in bytes of its own, as in older files.
ALIGNED = (
    ("Running", 8, 0, 0),
    ("StimulusCode", 8, 1, 0),
    ("StimulusType", 8, 2, 0),
    ("PhaseInSequence", 8, 3, 0),
    ("Flashing", 8, 4, 0),
)


def encoded(text):
    return text.replace("%", "%25").replace(" ", "%20") or "%"


def one(name, value, kind="string", section="Source"):
    return f"{section} {kind} {name}= {encoded(str(value))} % % % // a comment"


def listed(name, values, kind="floatlist", section="Source"):
    return f"{section} {kind} {name}= {len(values)} {' '.join(map(encoded, values))} 1 % % // list"


def screen(rows, columns=("Display", "Enter", "Display Size")):
    symbols = [symbol for row in rows for symbol in row]
    cells = " ".join(f"{encoded(s)} {encoded(' ' if s == '_' else s)} 1" for s in symbols)
    labels = " ".join(map(encoded, columns))
    section = "Application:Speller%20Targets:P3SpellerTask"
    return [
        f"{section} intlist NumMatrixColumns= 1 {len(rows[0])} 6 1 % // columns",
        f"{section} intlist NumMatrixRows= 1 {len(rows)} 6 0 % // rows",
        f"{section} matrix TargetDefinitions= {len(symbols)} {{ {labels} }} {cells} // targets",
    ]


def write_bci2000(
    path, samples, states, parameters, *, layout=PACKED, version="1.1", dtype="int16", odd=b""
):
    """Write A/D steps, shape (n_chans, n_samples), and states, each of shape (n_samples,)."""
    n_chans, n_samples = samples.shape
    n_bits = max(8 * byte + bit + n for _, n, byte, bit in layout)
    n_bytes = (n_bits + 7) // 8
    bits = np.zeros((n_samples, 8 * n_bytes), np.uint8)
    lines = []
    for name, n, byte, bit in layout:
        lines.append(f"{name} {n} 0 {byte} {bit}")
        values = np.asarray(states.get(name, np.zeros(n_samples)), int)
        for k in range(n):
            bits[:, 8 * byte + bit + k] = (values >> k) & 1
    vector = np.packbits(bits, axis=1, bitorder="little")
    body = ["[ State Vector Definition ] ", *lines, "[ Parameter Definition ] ", *parameters]
    first = "HeaderLen= {:5d} SourceCh= " + str(n_chans) + f" StatevectorLen= {n_bytes} "
    if version is not None:
        first = f"BCI2000V= {version} {first}DataFormat= {dtype} "
    rest = "\r\n".join(["", *body, "", ""])
    head = first.format(len(first.format(0)) + len(rest.encode())) + rest
    data = np.ascontiguousarray(samples.T.astype(DTYPES[dtype])).view(np.uint8)
    frames = np.hstack([data.reshape(n_samples, -1), vector])
    path.write_bytes(head.encode() + frames.tobytes() + odd)
    return path
