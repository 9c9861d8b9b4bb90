"""PDFs as small as they can be."""

from __future__ import annotations

import zlib


def pdf(*pages: str) -> bytes:
    """A PDF with these texts, a page each."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {count}/Kids[{kids}]>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() if text else b""
        objects.append(_page(5 + 2 * number))
        objects.append(_stream(content))
    return _file(objects)


def bomb(times: int) -> bytes:
    """A page of text whose content is `times` times a megabyte, and small by its compression."""
    content = zlib.compress(b"BT /F1 12 Tf (a) Tj ET\n" * (times * 2**20 // 23), 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[4 0 R]>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        _page(5),
        b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(content), content),
    ]
    return _file(objects)


def _page(content: int) -> bytes:
    font = "/Resources<</Font<</F1 3 0 R>>>>"
    return (
        f"<</Type/Page/Parent 2 0 R{font}/MediaBox[0 0 612 792]/Contents {content} 0 R>>".encode()
    )


def _stream(content: bytes) -> bytes:
    return b"<</Length %d>>stream\n%b\nendstream" % (len(content), content)


def _file(objects: list[bytes]) -> bytes:
    body, places = b"%PDF-1.4\n", []
    for number, value in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, value)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    end = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))
    return body + head + end
