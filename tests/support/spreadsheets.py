"""Small spreadsheets as Excel and LibreOffice write them, made by hand: nothing that we read with writes them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from xml.sax.saxutils import escape

_OPEN = "http://schemas.openxmlformats.org"
_PARTS = {
    "[Content_Types].xml": f'''<Types xmlns="{_OPEN}/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/></Types>''',
    "_rels/.rels": f'''<Relationships xmlns="{_OPEN}/package/2006/relationships"><Relationship Id="rId1"
Type="{_OPEN}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>''',
    "xl/styles.xml": f'''<styleSheet xmlns="{_OPEN}/spreadsheetml/2006/main"><cellXfs count="3"><xf numFmtId="0"/>
<xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>''',
}  # fmt: skip
_EPOCH = datetime(1899, 12, 30)

Rows = Sequence[Sequence[object]]


def xlsx(*, merged: str = "", **sheets: Rows) -> bytes:
    """A workbook with these sheets; `merged` names a range of the first, as in A2:A3."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _PARTS.items():
            archive.writestr(name, f'<?xml version="1.0"?>{text}')
        kinds = f"{_OPEN}/officeDocument/2006/relationships"
        listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, 1))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_OPEN}/spreadsheetml/2006/main" xmlns:r="{kinds}"><sheets>{listed}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="rId{n}" Type="{kinds}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        links += f'<Relationship Id="rId99" Type="{kinds}/styles" Target="styles.xml"/>'
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_OPEN}/package/2006/relationships">{links}</Relationships>',
        )
        for number, rows in enumerate(sheets.values(), 1):
            cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            merge = f'<mergeCells count="1"><mergeCell ref="{merged}"/></mergeCells>' if merged and number == 1 else ""
            sheet = (
                f'<worksheet xmlns="{_OPEN}/spreadsheetml/2006/main"><sheetData>{cells}</sheetData>{merge}</worksheet>'
            )
            archive.writestr(f"xl/worksheets/sheet{number}.xml", sheet)
    return buffer.getvalue()


def _cell(value: object) -> str:
    kind, shown = "", "<is/>"
    if value == "#N/A":
        kind, shown = ' t="e"', "<v>#N/A</v>"
    elif isinstance(value, str):
        kind, shown = ' t="inlineStr"', f'<is><t xml:space="preserve">{escape(value)}</t></is>'
    elif isinstance(value, bool):
        kind, shown = ' t="b"', f"<v>{int(value)}</v>"
    elif isinstance(value, datetime):
        kind, shown = ' s="2"', f"<v>{(value - _EPOCH).total_seconds() / 86400!r}</v>"
    elif isinstance(value, date):
        kind, shown = ' s="1"', f"<v>{(datetime(value.year, value.month, value.day) - _EPOCH).days}</v>"
    elif value is not None:
        shown = f"<v>{value!r}</v>"
    return f"<c{kind}>{shown}</c>" if value is not None else "<c/>"


def ods(rows: Rows) -> bytes:
    """An OpenDocument spreadsheet with one sheet of texts and numbers."""
    office = "urn:oasis:names:tc:opendocument:xmlns"
    cells = "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)
    content = (
        f'<office:document-content xmlns:office="{office}:office:1.0" xmlns:table="{office}:table:1.0" '
        f'xmlns:text="{office}:text:1.0"><office:body><office:spreadsheet><table:table table:name="One">{cells}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("META-INF/manifest.xml", f'<manifest:manifest xmlns:manifest="{office}:manifest:1.0"/>')
        archive.writestr("content.xml", f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return buffer.getvalue()


def _ods_cell(value: object) -> str:
    if isinstance(value, int | float):
        kind = f'office:value-type="float" office:value="{value!r}"'
        return f"<table:table-cell {kind}><text:p>{value}</text:p></table:table-cell>"
    return f'<table:table-cell office:value-type="string"><text:p>{escape(str(value))}</text:p></table:table-cell>'
