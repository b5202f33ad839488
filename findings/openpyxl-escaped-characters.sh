#!/usr/bin/env bash
# A text in a workbook spells characters that XML cannot hold, and by custom carriage returns, as _xHHHH_ (ECMA-376 part 1,
# 22.9.2.19, ST_Xstring). openpyxl 3.1.5 hands such a cell out as it is spelled, of a shared string and of one in the cell;
# python-calamine 0.9.1 hands out the character. So two readers of one valid workbook disagree on the same cell, and a
# product name with a line break compares unequal to itself.
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv readers
readers/bin/pip install --quiet --disable-pip-version-check openpyxl==3.1.5 python-calamine==0.9.1
cat > look.py <<'PY'
import io, zipfile, openpyxl, python_calamine

main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
package = "http://schemas.openxmlformats.org/package/2006"
kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"

def workbook(cell, shared):
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}.sharedStrings+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData><row r="1">{cell}</row></sheetData></worksheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{main}" count="1" uniqueCount="1"><si><t>{shared}</t></si></sst>',
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return file.getvalue()

spelled = "Tea_x000A_green"
cells = {
    "in the cell": f'<c r="A1" t="inlineStr"><is><t>{spelled}</t></is></c>',
    "shared": '<c r="A1" t="s"><v>0</v></c>',
}
for name, cell in cells.items():
    data = workbook(cell, spelled)
    by_openpyxl = openpyxl.load_workbook(io.BytesIO(data)).active["A1"].value
    by_calamine = python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_index(0).to_python()[0][0]
    print(name, repr(by_openpyxl), repr(by_calamine))
    assert by_openpyxl == spelled
    assert by_calamine == "Tea\ngreen"
PY
readers/bin/python look.py
echo "as described"
