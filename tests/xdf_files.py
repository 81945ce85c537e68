"""Write XDF files byte by byte, as the format's description says."""

import struct


def _chunk(tag, content):
    return b"\x08" + struct.pack("<Q", len(content) + 2) + struct.pack("<H", tag) + content


def _varlen(n):
    return b"\x01" + struct.pack("<B", n) if n < 256 else b"\x04" + struct.pack("<I", n)


def header(name, kind, n_channels, rate, dtype, channels=()):
    described = "".join(
        f"<channel><label>{label}</label><unit>{unit}</unit><type>{t}</type></channel>"
        for label, unit, t in channels
    )
    return (
        f"<?xml version='1.0'?><info><name>{name}</name><type>{kind}</type>"
        f"<channel_count>{n_channels}</channel_count><nominal_srate>{rate}</nominal_srate>"
        f"<channel_format>{dtype}</channel_format><created_at>0</created_at>"
        f"<desc><channels>{described}</channels></desc></info>"
    )


def write_xdf(path, streams, offsets=()):
    """Write streams: (header, times, samples) each; samples are float rows, ints or strings.

    ``offsets`` has, per stream, pairs of (time, offset of its clock).
    """
    body = b"XDF:" + _chunk(1, b"<?xml version='1.0'?><info><version>1.0</version></info>")
    for k, (head, times, samples) in enumerate(streams, start=1):
        sid = struct.pack("<I", k)
        body += _chunk(2, sid + head.encode())
        for a in range(0, len(times), 50):
            part = b""
            for time, sample in zip(times[a : a + 50], samples[a : a + 50], strict=True):
                part += b"\x08" + struct.pack("<d", time)
                if isinstance(sample, str):
                    text = sample.encode()
                    part += _varlen(len(text)) + text
                elif isinstance(sample, int):
                    part += struct.pack("<i", sample)
                else:
                    part += struct.pack(f"<{len(sample)}f", *sample)
            body += _chunk(3, sid + _varlen(len(times[a : a + 50])) + part)
        for time, offset in offsets[k - 1] if len(offsets) >= k else ():
            body += _chunk(4, sid + struct.pack("<dd", time, offset))
        body += _chunk(6, sid + b"<?xml version='1.0'?><info></info>")
    path.write_bytes(body)
    return path
