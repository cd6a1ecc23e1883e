"""Decompression with a window: text is repeated from what was read shortly before."""

WINDOW_BYTES = 4096


def repeat(out: bytearray, distance: int, length: int) -> None:
    """Append `length` bytes that begin `distance` bytes before the end; they may overlap with themselves.

    What lies before the beginning is zero.
    """
    start = len(out) - distance
    if start < 0:
        out += bytes(min(length, -start))
        length -= min(length, -start)
        start = 0
    piece = bytes(out[start : start + length])
    if piece:
        out += (piece * (length // len(piece) + 1))[:length]
