"""Messages of Outlook ([MS-OXMSG]) made from properties, as input of tests."""

import struct

LONG, TIME = 0x03, 0x40
Value = str | bytes | int


def message(
    properties: dict[int, Value], path: str = "", *, header_bytes: int = 32, times: dict[int, int] | None = None
) -> dict[str, bytes]:
    """The streams of a storage: text in UTF-16, bytes as text in a code page, numbers and times among the fixed ones."""
    fixed, streams = bytearray(header_bytes), {}
    for number, value in properties.items():
        if isinstance(value, int):
            fixed += struct.pack("<IIQ", number << 16 | LONG, 6, value)
        elif isinstance(value, bytes):
            streams[f"{path}__substg1.0_{number:04X}001E"] = value
        else:
            streams[f"{path}__substg1.0_{number:04X}001F"] = value.encode("utf-16-le")
    for number, ticks in (times or {}).items():
        fixed += struct.pack("<IIQ", number << 16 | TIME, 6, ticks)
    return streams | {f"{path}__properties_version1.0": bytes(fixed)}


def recipient(number: int, name: str, address: str) -> dict[str, bytes]:
    """A recipient."""
    return message({0x3001: name, 0x39FE: address}, f"__recip_version1.0_#{number:08X}/", header_bytes=8)


def attachment(number: int, name: str, body: bytes) -> dict[str, bytes]:
    """An attached file."""
    path = f"__attach_version1.0_#{number:08X}/"
    return message({0x3707: name}, path, header_bytes=8) | {f"{path}__substg1.0_37010102": body}


def attached_message(number: int, properties: dict[int, Value]) -> dict[str, bytes]:
    """A message that is attached."""
    path = f"__attach_version1.0_#{number:08X}/"
    return message({0x3001: "attached"}, path, header_bytes=8) | message(
        properties, f"{path}__substg1.0_3701000D/", header_bytes=24
    )
